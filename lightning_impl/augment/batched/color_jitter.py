"""Albumentations' ColorJitter on uint8: brightness, contrast, saturation, hue, in an order of each image's.

Sources: albumentations 2.0.8 augmentations/pixel/transforms.py and functional.py, `adjust_..._torchvision`;
opencv 5.0 modules/core/src/arithm.simd.hpp, `addWeighted`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment.batched.gray import grey_of, multiply_add
from lightning_impl.augment.batched.hue import shift_hue
from lightning_impl.augment.batched.per_image import (
    change_some,
    draw_within,
    own_copy,
    per_image,
    require_channels,
)
from lightning_impl.augment.batched.stage import Builder, Built, Stage, needs_uint8, refuse
from lightning_impl.augment.batched.tone import mean_level, multiply_and_shift
from lightning_impl.augment.sampling import Draws, Rows


def change_brightness(images: Tensor, factor: NDArray[np.float64]) -> Tensor:
    return multiply_and_shift(images, per_image(factor, images), per_image(np.zeros_like(factor), images))


def change_contrast(images: Tensor, factor: NDArray[np.float64]) -> Tensor:
    """Away from the mean of the grey image; a factor of 0 leaves the mean, there alone rounded."""
    mean = mean_level(images if images.shape[1] == 1 else grey_of(images))
    exact = per_image(factor, images, np.float64)
    shift = torch.where(exact == 0, (mean + 0.5).floor(), mean * (1 - exact))
    return multiply_and_shift(images, exact, shift)


def change_saturation(images: Tensor, factor: NDArray[np.float64]) -> Tensor:
    """Away from the grey image, as cv2.addWeighted does it on processors with FMA: rounded, half to even."""
    if images.shape[1] == 1:
        return images
    grey = grey_of(images).float() * per_image(1 - factor, images)
    mixed = multiply_add(images, per_image(factor, images), grey)
    return mixed.round_().clamp_(0, 255).to(torch.uint8)


def change_hue(images: Tensor, factor: NDArray[np.float64]) -> Tensor:
    """A factor of 0 leaves an image alone: the way to HSV and back would not."""
    if images.shape[1] == 1:
        return images
    turned = np.flatnonzero(factor)
    change_some(images, turned, partial(shift_hue, factor=factor[turned]))
    return images


CHANGES = (change_brightness, change_contrast, change_saturation, change_hue)


@dataclass(frozen=True)
class ColorJitter:
    """Draws the four factors, then the order."""

    transform: Any

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        require_channels(images, 1, 3)
        given = self.transform
        limits = (given.brightness, given.contrast, given.saturation, given.hue)
        factors = np.stack([draw_within(each, draws, rows) for each in limits])
        order = draws.orders(len(CHANGES), rows)
        jittered = own_copy(images)
        for turn in range(len(CHANGES)):
            for place, change in enumerate(CHANGES):
                chosen = np.flatnonzero(order[:, turn] == place)
                change_some(jittered, chosen, partial(change, factor=factors[place, chosen]))
        return jittered


def build(transform: Any, stage: Stage) -> Built:
    refuse(needs_uint8(stage))
    return ColorJitter(transform), stage


BUILDERS: dict[type, Builder] = {A.ColorJitter: build}
