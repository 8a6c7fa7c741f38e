"""cv2.resize with INTER_LINEAR, each image of a batch from a window of its own.

The windows become places and weights of two pixels an axis: no pixel outside a window is taken. Source:
opencv 5.0 modules/imgproc/src/resize.cpp; for uint8 it works in whole numbers, which are repeated here.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# INTER_RESIZE_COEF_SCALE: a weight has 11 bits.
WHOLE = 2048


def resize_windows(images: Tensor, windows: NDArray[np.int64], size: tuple[int, int]) -> Tensor:
    """Resizes.

    Args:
        images: `(N, C, H, W)` uint8, or float32 of any range.
        windows: `(N, 4)`: top, left, height and width.
        size: Height and width of the result.

    Returns:
        `(N, C, *size)`: for uint8 cv2's own levels; for float32 and 1, 3 or 4 channels within a few float32
        steps (cv2 takes other counts of channels by less exact weights).
    """
    # cv2 takes float32's places for uint8, IPP float64's for float32.
    dtype = np.float64 if images.is_floating_point() else np.float32
    rows, row_weights, _ = _pixels(windows[:, 0], windows[:, 2], size[0], dtype)
    columns, column_weights, is_edge = _pixels(windows[:, 1], windows[:, 3], size[1], dtype)
    # Beyond the edge a column stands alone, where a row is mixed with itself: in whole numbers that differs.
    column_weights[is_edge] = 0
    upper, lower = (_gather(images, row, columns) for row in rows)
    if images.is_floating_point():
        across, down = _weight(column_weights, images)[:, None, None], _weight(row_weights, images)[:, None]
        top = upper[0] + (upper[1] - upper[0]) * across
        return top + (lower[0] + (lower[1] - lower[0]) * across - top) * down[..., None]
    left, right = (_weight(each, images)[:, None, None] for each in _in_whole(column_weights))
    above, below = (_weight(each, images)[:, None, :, None] for each in _in_whole(row_weights))
    # In place: on a CPU a new array costs as much as the arithmetic.
    top, bottom = (
        row[0]
        .mul_(left)
        .add_(row[1].mul_(right))
        .bitwise_right_shift_(4)
        .mul_(weight)
        .bitwise_right_shift_(16)
        for row, weight in ((upper, above), (lower, below))
    )
    return top.add_(bottom).add_(2).bitwise_right_shift_(2).to(torch.uint8)


def _pixels(
    starts: NDArray[np.int64], sides: NDArray[np.int64], count: int, dtype: type
) -> tuple[list[NDArray[np.int64]], NDArray, NDArray[np.bool_]]:
    """The two pixels of each place along an axis, the second's weight, and whether the place lies at an edge.

    All are `(N, count)`. Places are half-pixel centres, worked out as OpenCV does, down to the order.
    """
    scale = 1 / (count / sides)
    places: NDArray = ((np.arange(count) + 0.5) * scale[:, None] - 0.5).astype(dtype)
    first = np.floor(places)
    last = sides[:, None] - 1
    pair = [starts[:, None] + np.clip(first + step, 0, last).astype(np.int64) for step in (0, 1)]
    return pair, places - first, (first < 0) | (first >= last)


def _gather(images: Tensor, rows: NDArray[np.int64], columns: list[NDArray[np.int64]]) -> list[Tensor]:
    """The pixels of some rows at the first and at the second columns, `(N, C, *size)` int32 or float."""
    width = images.shape[3]
    flat = images.flatten(2)
    gathered = []
    for column in columns:
        starts, ahead = (torch.from_numpy(each).to(images.device) for each in (rows * width, column))
        places = (starts[:, :, None] + ahead[:, None, :]).flatten(1)
        pixels = flat.gather(2, places[:, None].expand(-1, flat.shape[1], -1))
        pixels = pixels.unflatten(2, (rows.shape[1], column.shape[1]))
        gathered.append(pixels if images.is_floating_point() else pixels.int())
    return gathered


def _in_whole(weights: NDArray[np.float32]) -> list[NDArray[np.int32]]:
    """Both pixels' weights, as parts of 2048."""
    one = np.float32(1)
    return [np.rint(each * np.float32(WHOLE)).astype(np.int32) for each in (one - weights, weights)]


def _weight(weights: NDArray, images: Tensor) -> Tensor:
    return torch.from_numpy(weights).to(images.device, images.dtype if weights.dtype.kind == "f" else None)
