"""Albumentations' RandomResizedCrop: a window of random area and shape, resized to one size.

Source: albumentations 2.0.8 augmentations/crops/transforms.py and crops/functional.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment.batched.resize import resize_windows
from lightning_impl.augment.batched.stage import Builder, Built, Stage, refuse
from lightning_impl.augment.sampling import Draws, Rows

ATTEMPTS = 10


@dataclass(frozen=True)
class ResizedCrop:
    """The window goes over to the size in one step; what lies outside it is not looked at."""

    transform: Any

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        windows = self.draw(draws, rows, (images.shape[2], images.shape[3]))
        return resize_windows(images, windows, tuple(self.transform.size))

    def draw(self, draws: Draws, rows: Rows, size: tuple[int, int]) -> NDArray[np.int64]:
        """Top, left, height and width of each image's window, `(N, 4)`.

        Each attempt draws an area and a shape; the first that fits draws its place, top first.
        """
        height, width = size
        low_area, high_area = (share * (height * width) for share in self.transform.scale)
        low_ratio, high_ratio = (math.log(ratio) for ratio in self.transform.ratio)
        windows = np.tile(self._centred(size), (len(rows), 1))
        waiting = np.arange(len(rows))
        for _ in range(ATTEMPTS):
            area = draws.uniform(low_area, high_area, rows[waiting])
            ratio = python_exp(draws.uniform(low_ratio, high_ratio, rows[waiting]))
            widths = np.rint(np.sqrt(area * ratio)).astype(np.int64)
            heights = np.rint(np.sqrt(area / ratio)).astype(np.int64)
            fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
            placed, heights, widths = waiting[fits], heights[fits], widths[fits]
            top = draws.below(height - heights + 1, rows[placed])
            left = draws.below(width - widths + 1, rows[placed])
            windows[placed] = np.stack([top, left, heights, widths], axis=1)
            waiting = waiting[~fits]
        return windows

    def _centred(self, size: tuple[int, int]) -> NDArray[np.int64]:
        """What an image gets that no attempt has fitted: the largest window of an allowed shape."""
        height, width = size
        low, high = self.transform.ratio
        if width / height < low:
            height = round(width / low)
        elif width / height > high:
            width = round(height * high)
        return np.array([(size[0] - height) // 2, (size[1] - width) // 2, height, width])


def python_exp(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """math.exp: numpy's differs from it in the last bit for 5% of numbers, and a side is rounded from it."""
    return np.fromiter(map(math.exp, numbers), np.float64, len(numbers))


def build(transform: Any, stage: Stage) -> Built:
    interpolation, area = transform.interpolation, transform.area_for_downscale
    refuse(
        (interpolation != cv2.INTER_LINEAR, f"{interpolation=}", "use cv2.INTER_LINEAR"),
        (area is not None, f"area_for_downscale={area!r}", "use None"),
    )
    return ResizedCrop(transform), replace(stage, size=tuple(transform.size))


BUILDERS: dict[type, Builder] = {A.RandomResizedCrop: build}
