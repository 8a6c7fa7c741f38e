"""A turn of the hue on uint8, by OpenCV's way to HSV and back, level for level.

To HSV it goes in whole numbers. The way back is in float32 and ends in two manners: pixels that fill a vector
register's lanes are cut to whole levels, the rest of a row is rounded. The two sides were compared over all
2^24 colours and all 180 · 2^16 triples of HSV (parity_tests/test_batched_hue.py has a part of them).
Sources: opencv 5.0 modules/imgproc/src/color_hsv.simd.hpp, `RGB2HSV_b` and `HSV2RGB_b`; albumentations 2.0.8
augmentations/pixel/functional.py, `_adjust_hue_torchvision_uint8`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, where

# Tables of divisions, in parts of 2^12.
HALF = 1 << 11
LEVELS = np.arange(1, 256)
SATURATION_TABLE = np.append(0, np.rint((255 << 12) / LEVELS)).astype(np.int32)
HUE_TABLE = np.append(0, np.rint((180 << 12) / (6.0 * LEVELS))).astype(np.int32)

# HSV2RGB_b takes four vectors of float32 at once; AVX2's have eight lanes. Where OpenCV runs on another
# instruction set (NEON and SSE: 16 pixels), other columns of a row are the ones that are rounded.
PIXELS_AT_ONCE = 32


def shift_hue(images: Tensor, factor: NDArray[np.float64]) -> Tensor:
    """Turns the hue.

    Args:
        images: `(N, 3, H, W)` uint8.
        factor: `(N,)` share of the circle.
    """
    hue, saturation, value = to_hsv(images)
    turned = np.mod(np.arange(180) + 180 * factor[:, None], 180).astype(np.int64)
    table = torch.from_numpy(turned).to(images.device)
    hue = table.gather(1, hue.flatten(1).long()).view_as(hue)
    return from_hsv(hue, saturation, value)


def to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue below 180, saturation and value up to 255, `(N, H, W)` int32 each."""
    red, green, blue = images.int().unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    saturation = (spread * _looked_up(SATURATION_TABLE, value) + HALF) >> 12
    by_red, by_green, by_blue = green - blue, blue - red + 2 * spread, red - green + 4 * spread
    hue = where(value == red, by_red, where(value == green, by_green, by_blue))
    hue = (hue * _looked_up(HUE_TABLE, spread) + HALF) >> 12
    return where(hue < 0, hue + 180, hue), saturation, value


def _looked_up(table: NDArray[np.int32], levels: Tensor) -> Tensor:
    # Four times as fast on a CPU as an index in brackets.
    return torch.from_numpy(table).to(levels.device).index_select(0, levels.flatten()).view_as(levels)


def from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """`(N, 3, H, W)` uint8 of three `(N, H, W)` whole numbers, hue below 180."""
    # 6 / 180 and 1 / 255 in float32; multiplied by, as OpenCV does, not divided.
    circle = hue.float() * float(np.float32(6) / np.float32(180))
    part = circle.trunc()
    within = circle - part
    share, light = (each.float() * float(np.float32(1 / 255)) for each in (saturation, value))
    low = light * (1 - share)
    falling = light * _one_minus(share, within)
    rising = light * _one_minus(share, 1 - within)
    first, second, third, fourth, fifth, sixth = (part == place for place in range(6))
    red = where(second, falling, where(third | fourth, low, where(fifth, rising, light)))
    green = where(fourth, falling, where(fifth | sixth, low, where(first, rising, light)))
    blue = where(sixth, falling, where(first | second, low, where(third, rising, light)))
    levels = torch.stack((red, green, blue), dim=1) * 255
    whole = hue.shape[-1] // PIXELS_AT_ONCE * PIXELS_AT_ONCE
    return torch.cat((levels[..., :whole].trunc(), levels[..., whole:].round()), dim=-1).to(torch.uint8)


def _one_minus(share: Tensor, within: Tensor) -> Tensor:
    """1 - `share` · `within`, rounded once: one instruction on processors with FMA."""
    return (1 - share.double() * within.double()).float()
