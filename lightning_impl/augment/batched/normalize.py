"""Albumentations' Normalize and ToFloat: levels become float32 numbers.

Sources: albumentations 2.0.8 augmentations/pixel/transforms.py and other/type_transform.py; albucore 0.0.24
functions.py, `normalize` and `to_float`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment.batched.stage import Builder, Built, Stage, refuse
from lightning_impl.augment.sampling import Draws, Rows


@dataclass(frozen=True)
class Normalize:
    """(level - mean · most) · 1 / (deviation · most), each step rounded to float32."""

    transform: Any

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        mean, inverse = (
            torch.from_numpy(_by_channel(values, images.shape[1])).to(images.device)
            for values in (self.transform.mean_np, self.transform.denominator)
        )
        return (images.float() - mean) * inverse


def _by_channel(values: Any, channels: int) -> NDArray[np.float32]:
    """`(1 or C, 1, 1)`: albucore's `convert_value` takes the first alone where there are too few."""
    row = np.atleast_1d(np.asarray(values, np.float32))
    kept = row[:channels] if len(row) >= channels else row[:1]
    return kept.reshape(-1, 1, 1)


@dataclass(frozen=True)
class ToFloat:
    """uint8 levels divided by `most`."""

    most: float

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        # Not by a number: a GPU would multiply by its inverse.
        return images.float() / torch.full((1,), self.most, device=images.device)


def build_normalize(transform: Any, stage: Stage) -> Built:
    kind = transform.normalization
    refuse((kind != "standard", f"normalization={kind!r}", "use standard"))
    return Normalize(transform), replace(stage, levels="free")


def build_to_float(transform: Any, stage: Stage) -> Built:
    if stage.levels != "uint8":
        # Albumentations hands float images back as they are, whatever their range.
        return lambda images, draws, rows: images, stage
    return ToFloat(transform.max_value or 255.0), replace(stage, levels="free")


BUILDERS: dict[type, Builder] = {A.Normalize: build_normalize, A.ToFloat: build_to_float}
