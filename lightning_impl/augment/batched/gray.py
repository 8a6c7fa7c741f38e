"""Albumentations' ToGray, and the grey of an image as OpenCV works it out.

Sources: albumentations 2.0.8 augmentations/pixel/functional.py, `to_gray`; opencv 5.0
modules/imgproc/src/color_rgb.simd.hpp, `RGB2Gray`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import albumentations as A
import torch
from torch import Tensor

from lightning_impl.augment.batched.per_image import require_channels
from lightning_impl.augment.batched.stage import Builder, Built, Stage, refuse
from lightning_impl.augment.sampling import Draws, Rows

# The shares of red, green and blue as parts of 2^15.
WHOLE_SHARES = (9798, 19235, 3735)
SHARES = (0.299, 0.587, 0.114)


def grey_of(images: Tensor) -> Tensor:
    """cv2.cvtColor with COLOR_RGB2GRAY.

    Args:
        images: `(N, 3, H, W)` uint8, or float32 of any range.

    Returns:
        `(N, 1, H, W)` int32 for uint8; for float32 cv2's own numbers, on processors with FMA.
    """
    if images.is_floating_point():
        red, green, blue = images.unbind(1)
        shares = torch.tensor(SHARES, dtype=images.dtype, device=images.device)
        exact = multiply_add(red, shares[0], green * shares[1])
        return multiply_add(blue, shares[2], exact)[:, None]
    red, green, blue = images.int().unbind(1)
    weighted = red * WHOLE_SHARES[0] + green * WHOLE_SHARES[1] + blue * WHOLE_SHARES[2]
    return ((weighted + 16384) >> 15)[:, None]


def multiply_add(given: Tensor, factor: Tensor, added: Tensor) -> Tensor:
    """`given` · `factor` + `added` with one rounding to float32 at the end, as a processor's FMA does it."""
    return (given.double() * factor.double()).add_(added).float()


def _average(images: Tensor) -> Tensor:
    if images.is_floating_point():
        red, green, blue = images.split(1, dim=1)
        return (red + green + blue) / torch.full_like(red, 3)
    return images.int().sum(1, keepdim=True) // 3


def _middle(images: Tensor) -> Tensor:
    whole = images.int()
    return (whole.amax(1, keepdim=True) + whole.amin(1, keepdim=True)) // 2


METHODS: dict[str, Callable[[Tensor], Tensor]] = {
    "weighted_average": grey_of,
    "average": _average,
    "desaturation": _middle,
    "max": lambda images: images.amax(1, keepdim=True),
}


@dataclass(frozen=True)
class ToGray:
    """Three equal channels; an image of one channel stays as it is."""

    transform: Any

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        require_channels(images, 1, 3)
        if images.shape[1] == 1:
            return images
        return METHODS[self.transform.method](images).to(images.dtype).expand(-1, 3, -1, -1)


def build(transform: Any, stage: Stage) -> Built:
    method, channels = transform.method, transform.num_output_channels
    refuse(
        (method not in METHODS, f"{method=}", f"use one of {', '.join(METHODS)}"),
        (
            method == "desaturation" and stage.levels != "uint8",
            "method='desaturation' on float images",
            "Albumentations cuts them off at 1: use mode='faithful', and normalise after it",
        ),
        (channels != 3, f"num_output_channels={channels}", "use 3"),
    )
    return ToGray(transform), stage


BUILDERS: dict[type, Builder] = {A.ToGray: build}
