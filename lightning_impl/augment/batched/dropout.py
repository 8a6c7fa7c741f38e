"""Albumentations' CoarseDropout: rectangles of one colour.

Source: albumentations 2.0.8 augmentations/dropout/coarse_dropout.py and functional.py, `cutout`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment.batched.per_image import per_channel
from lightning_impl.augment.batched.stage import Builder, Built, Stage, refuse
from lightning_impl.augment.sampling import Draws, Rows, numbers_at

Bounds = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class CoarseDropout:
    """A mask for each image, from holes that are as many as the image has drawn.

    Attributes:
        transform: The transform.
        fill: `()` or `(C,)` in the images' type.
    """

    transform: Any
    fill: NDArray

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        height, width = images.shape[2:]
        (top, bottom), (left, right) = self.draw(draws, rows, (height, width))
        in_rows = _inside(top, bottom, height, images)
        in_columns = _inside(left, right, width, images)
        # A product of matrices over the holes counts for each pixel the holes that it lies in.
        is_hole = (in_rows.transpose(1, 2) @ in_columns > 0)[:, None]
        return torch.where(is_hole, per_channel(self.fill, images), images)

    def draw(self, draws: Draws, rows: Rows, size: tuple[int, int]) -> tuple[Bounds, Bounds]:
        """The holes' top and bottom, left and right, `(N, holes)` each; holes too many have no height.

        An image draws its number of holes, all heights, all widths, all tops, all lefts, and a seed.
        """
        height, width = size
        given = self.transform
        counts = draws.randint(given.num_holes_range[0], given.num_holes_range[1], rows)
        numbers = draw_blocks(draws, rows, counts, 4)
        if counts_pixels(given):
            heights = _between(given.hole_height_range, height, numbers[0])
            widths = _between(given.hole_width_range, width, numbers[1])
        else:
            heights = _share_of(given.hole_height_range, height, numbers[0])
            widths = _share_of(given.hole_width_range, width, numbers[1])
        top = (numbers[2] * (height - heights + 1)).astype(np.int64)
        left = (numbers[3] * (width - widths + 1)).astype(np.int64)
        draws.random(rows)
        heights[np.arange(heights.shape[1]) >= counts[:, None]] = 0
        return (top, top + heights), (left, left + widths)


def draw_blocks(draws: Draws, rows: Rows, counts: NDArray[np.int64], blocks: int) -> NDArray[np.float64]:
    """`blocks` times `counts[i]` numbers of row i's stream, `(blocks, len(rows), counts.max())`.

    Where a row has fewer than the most, the rest is not drawn, and means nothing.
    """
    most = int(counts.max(initial=0))
    ahead = np.arange(blocks)[:, None, None] * counts[None, :, None] + np.arange(most)
    keys, drawn = draws.keys[rows][:, None], draws.drawn[rows][:, None]
    draws.skip(rows, blocks * counts)
    return numbers_at(keys, drawn + ahead)


def counts_pixels(transform: Any) -> bool:
    """Whether both sides of the holes are pixels: the height's upper end alone decides it."""
    return transform.hole_height_range[1] >= 1


def _between(limits: tuple[float, float], side: int, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers of pixels, both ends included, the upper one no more than the image's side."""
    low = int(limits[0])
    count = int(min(limits[1], side) + 1) - low
    return low + (numbers * count).astype(np.int64)


def _share_of(limits: tuple[float, float], side: int, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers of pixels, cut off, of shares of the image's side."""
    low, high = limits
    return (side * (low + (high - low) * numbers)).astype(np.int64)


def _inside(first: NDArray[np.int64], end: NDArray[np.int64], side: int, images: Tensor) -> Tensor:
    """Which places of an axis a hole covers, `(N, holes, side)`, 1 or 0."""
    place = np.arange(side)
    covered = (place >= first[..., None]) & (place < end[..., None])
    return torch.from_numpy(covered).to(images.device, torch.float32)


def build(transform: Any, stage: Stage) -> Built:
    given, sides = transform, dict(zip(("height", "width"), stage.size, strict=True))
    is_number = not isinstance(given.fill, str)
    levels = np.asarray(given.fill if is_number else 0, np.float64)
    too_large = "the holes may be larger than the image: give less"
    refuse(
        (not is_number, f"fill={given.fill!r}", "use a number, or one a channel"),
        (
            stage.levels == "uint8" and not ((levels >= 0) & (levels <= 255)).all(),
            f"fill={given.fill!r}",
            "use levels of 0-255",
        ),
        *(
            (low > side if counts_pixels(given) else high > 1, f"hole_{axis}_range={(low, high)}", too_large)
            for axis, side in sides.items()
            for low, high in [getattr(given, f"hole_{axis}_range")]
        ),
    )
    dtype = np.uint8 if stage.levels == "uint8" else np.float32
    return CoarseDropout(transform, levels.astype(dtype)), stage


BUILDERS: dict[type, Builder] = {A.CoarseDropout: build}
