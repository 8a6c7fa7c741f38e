"""Known differences of the data path, each put into our port: rung 8 must catch it (differences.py)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lightning_impl.data.index import ImageIndex
from lightning_impl.keras_semantics.profile import PROFILES, Profile
from porting.data_port import DataPort


def _with_rules_of_the_other(profile: Profile, *names: str) -> Profile:
    (other,) = set(PROFILES) - {profile.name}
    return dataclasses.replace(profile, **{name: getattr(PROFILES[other], name) for name in names})


class _OtherRules(DataPort):
    """Some rules are the other generation's; put in place by name, since transforms know profiles so."""

    names: tuple[str, ...] = ()

    def _within_other_rules(self, function: Any, *given: Any) -> Any:
        kept = PROFILES[self.profile.name]
        PROFILES[self.profile.name] = _with_rules_of_the_other(kept, *self.names)
        try:
            return function(*given)
        finally:
            PROFILES[self.profile.name] = kept

    def augment(self, images: NDArray[np.uint8], parameters: list[dict[str, Any]]) -> NDArray[np.float32]:
        return self._within_other_rules(super().augment, images, parameters)


class OtherCentre(_OtherRules):
    """The other generation's affine transformation."""

    names = ("affine_centre_offset", "affine_takes_x_first")


class OtherStretch(_OtherRules):
    """The other generation's brightness."""

    names = ("brightness_stretches",)


class OtherWhitening(DataPort):
    """The other generation's whitening."""

    def standardise(self, images: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.profile = _with_rules_of_the_other(self.profile, "whitening_is_of_covariance")
        return super().standardise(images, training)


class LastPartValidates(DataPort):
    """The last files of each class validate, as `fit(validation_split=...)` has it of arrays."""

    def index(self, root: Path) -> ImageIndex:
        index = super().index(root)
        flags = np.asarray(index.is_validation)
        labels = np.asarray(index.labels)
        for label in np.unique(labels):
            flags[labels == label] = flags[labels == label][::-1]
        # Lists are compared, so that the order stays the files'.
        return dataclasses.replace(index, is_validation=tuple(bool(flag) for flag in flags))


class CaseInsensitiveOrder(DataPort):
    """Classes in a dictionary's order."""

    def index(self, root: Path) -> ImageIndex:
        index = super().index(root)
        return dataclasses.replace(index, class_names=tuple(sorted(index.class_names, key=str.casefold)))


class BilinearResize(DataPort):
    """What torchvision's Resize does by default, of a picture read with PIL."""

    def decode(self, path: Path) -> NDArray[np.uint8]:
        with Image.open(path) as image:
            size = (self.image_size[1], self.image_size[0])
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))


class BlackBorder(DataPort):
    """What lies outside the image is black, as A.Affine and torchvision's RandomAffine have it."""

    def augment(self, images: NDArray[np.uint8], parameters: list[dict[str, Any]]) -> NDArray[np.float32]:
        self.settings = dataclasses.replace(self.settings, fill_mode="constant", cval=0.0)
        return super().augment(images, parameters)


class ShiftOfEachChannel(DataPort):
    """A channel shift of its own for each channel, as A.RGBShift has it."""

    def augment(self, images: NDArray[np.uint8], parameters: list[dict[str, Any]]) -> NDArray[np.float32]:
        whole = super().augment(images, parameters)
        turned = [each | {"channel_shift_intensity": -each["channel_shift_intensity"]} for each in parameters]
        whole[..., 0] = super().augment(images, turned)[..., 0]
        return whole


class OneStreamForAll(DataPort):
    """Both flips take the same number, as Albumentations 2.0.8 has it with `Compose(seed=...)`."""

    def draw(self, count: int) -> dict[str, NDArray[np.float64]]:
        drawn = super().draw(count)
        return drawn | {"flip_vertical": drawn["flip_horizontal"]}


class OneZoom(DataPort):
    """Height and width zoom alike, as A.Affine(keep_ratio=True) and RandomAffine(scale=...) have it."""

    def draw(self, count: int) -> dict[str, NDArray[np.float64]]:
        drawn = super().draw(count)
        return drawn | {"zy": drawn["zx"]}


class TorchOrder(DataPort):
    """A DataLoader's shuffle."""

    def order(self, epoch: int, images: int) -> NDArray[np.int64]:
        generator = torch.Generator().manual_seed(self.order_seed + epoch)
        return torch.randperm(images, generator=generator).numpy()
