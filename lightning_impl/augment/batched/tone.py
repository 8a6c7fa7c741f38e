"""Albumentations' RandomBrightnessContrast and RandomGamma on uint8: a new level for each of the 256.

Sources: albumentations 2.0.8 augmentations/pixel/transforms.py and functional.py; albucore 0.0.24
functions.py, `multiply_add_lut`. Levels are cut to whole ones there, not rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
import torch
from torch import Tensor

from lightning_impl.augment.batched.per_image import draw_within, per_image
from lightning_impl.augment.batched.stage import Builder, Built, Stage, needs_uint8, refuse
from lightning_impl.augment.sampling import Draws, Rows


def multiply_and_shift(images: Tensor, factor: Tensor, shift: Tensor) -> Tensor:
    """`images` · `factor` + `shift`, each rounded to float32, cut off at 0 and 255 and to whole levels.

    Args:
        images: `(N, C, H, W)` uint8.
        factor: `(N, 1, 1, 1)` of any float type.
        shift: The same, in levels.
    """
    return images.float().mul_(factor.float()).add_(shift.float()).clamp_(0, 255).to(torch.uint8)


def mean_level(images: Tensor) -> Tensor:
    """The mean of each image over all that it has, `(N, 1, 1, 1)` float64, from whole numbers: no rounding.

    Args:
        images: `(N, C, H, W)` of whole numbers.
    """
    total = images.sum(dim=(1, 2, 3), keepdim=True, dtype=torch.int64)
    return total.double() / torch.full_like(total, images[0].numel()).double()


@dataclass(frozen=True)
class BrightnessContrast:
    """Draws the contrast, then the brightness."""

    transform: Any

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        given = self.transform
        factor = per_image(1.0 + draw_within(given.contrast_limit, draws, rows), images, np.float64)
        share = per_image(draw_within(given.brightness_limit, draws, rows), images, np.float64)
        shift = share * (255.0 if given.brightness_by_max else mean_level(images))
        if given.ensure_safe_range:
            factor, shift = _in_safe_range(factor, shift)
        return multiply_and_shift(images, factor, shift)


def _in_safe_range(factor: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """`get_safe_brightness_contrast_params` with a largest level of 255."""
    # Not 255.0: dividing a GPU's tensor by a number multiplies by the number's inverse.
    most = torch.full_like(shift, 255)
    upward = shift.clamp(0, 255)
    downward = shift.clamp(max=255)
    is_upward = factor > 0
    safe = torch.where(
        is_upward,
        torch.minimum(factor, (most - upward) / most),
        torch.maximum(factor, -downward / most),
    )
    return safe, torch.where(is_upward, upward, downward)


@dataclass(frozen=True)
class Gamma:
    transform: Any

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        gamma = draw_within(self.transform.gamma_limit, draws, rows) / 100.0
        levels = np.arange(0, 256.0 / 255, 1.0 / 255) ** gamma[:, None] * 255
        table = torch.from_numpy(levels.astype(np.uint8)).to(images.device)
        return table.gather(1, images.flatten(1).long()).unflatten(1, images.shape[1:])


def build_brightness_contrast(transform: Any, stage: Stage) -> Built:
    refuse(needs_uint8(stage))
    return BrightnessContrast(transform), stage


def build_gamma(transform: Any, stage: Stage) -> Built:
    refuse(needs_uint8(stage))
    return Gamma(transform), stage


BUILDERS: dict[type, Builder] = {
    A.RandomBrightnessContrast: build_brightness_contrast,
    A.RandomGamma: build_gamma,
}
