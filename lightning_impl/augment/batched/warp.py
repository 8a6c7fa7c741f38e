"""One bilinear warp of a batch, each image by a matrix of its own."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

# nearest, reflect, wrap and constant are scipy's, as ImageDataGenerator has them; the others OpenCV's.
# `fade` is BORDER_CONSTANT, which blends the last pixels with the fill, `mirror` is BORDER_REFLECT_101.
Border = Literal["nearest", "reflect", "wrap", "constant", "fade", "mirror"]
NUMPY_TYPES = {torch.float32: np.float32, torch.float64: np.float64}
GRID_SAMPLE = {"nearest": "border", "reflect": "reflection", "mirror": "reflection", "fade": "zeros"}


def warp(
    images: Tensor,
    matrices: NDArray[np.float64],
    border: Border,
    fill: Tensor | float = 0.0,
    out_size: tuple[int, int] | None = None,
) -> Tensor:
    """Takes each output pixel from where its image's matrix says.

    Args:
        images: `(N, C, H, W)` float32 or float64.
        matrices: `(N, 2, 3)`: (row, column) of the input = matrix @ (row, column, 1) of the output.
        border: What lies outside an image.
        fill: Grey level of `constant` and `fade`: a number, or `(C, 1, 1)`.
        out_size: Height and width of the result; the images' own by default.

    Returns:
        `(N, C, *out_size)`.
    """
    height, width = images.shape[2:]
    out_height, out_width = out_size or (height, width)
    if border in ("wrap", "constant"):
        return _warp_as_scipy(images, matrices, border, fill, (out_height, out_width))
    corners = border == "mirror"
    # Worked out in float64 and rounded once.
    scale, offset = _to_grid_sample(height, width, corners)
    grid = _coordinates(images, matrices * scale + offset, (out_height, out_width))
    if border == "fade":
        images = images - fill
    warped = grid_sample(images, grid, "bilinear", GRID_SAMPLE[border], align_corners=corners)
    return warped + fill if border == "fade" else warped


@lru_cache(maxsize=16)
def _to_grid_sample(height: int, width: int, corners: bool) -> tuple[NDArray, NDArray]:
    """A scale `(2, 1)` and an offset `(2, 3)` that turn a matrix to pixels into one to grid_sample's places.

    These run from -1 to 1, over the pixels' outer edges, or over the corner pixels' centres.
    """
    sides = np.array([height, width])
    offset = np.zeros((2, 3))
    if corners:
        offset[:, 2] = -1
        return 2 / np.maximum(sides - 1, 1)[:, None], offset
    offset[:, 2] = 1 / sides - 1
    return 2 / sides[:, None], offset


def _coordinates(images: Tensor, matrices: NDArray, size: tuple[int, int]) -> Tensor:
    """The input's column and row for each output pixel, `(N, *size, 2)`, the two apart in memory.

    A sum of a row's and a column's part: affine_grid's product of matrices costs as much as the sampling.
    """
    # A matrix's columns one by one, `(N, 2, 1, 1)` each. In grid_sample the input's column comes first.
    columns = np.empty((3, len(matrices), 2, 1, 1), NUMPY_TYPES[images.dtype])
    columns[..., 0, 0] = matrices[:, ::-1].transpose(2, 0, 1)
    of_row, of_column, start = torch.from_numpy(columns).to(images.device)
    row, column = (_places(side, images.dtype, images.device) for side in size)
    grid = of_row * row[:, None] + torch.addcmul(start, of_column, column)
    return grid.permute(0, 2, 3, 1)


@lru_cache(maxsize=16)
def _places(side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.arange(side, dtype=dtype, device=device)


def _warp_as_scipy(
    images: Tensor, matrices: NDArray, border: Border, fill: Tensor | float, size: tuple[int, int]
) -> Tensor:
    """Modes that only scipy has: scipy 1.17 ndimage/src/ni_interpolation.c, `map_coordinate`."""
    height, width = images.shape[2:]
    exact = images.double()
    columns, rows = _coordinates(exact, matrices, size).unbind(-1)
    if border == "wrap":
        # Its period is one pixel short: the last pixel is the first again.
        rows, columns = (_wrapped(at, side - 1) for at, side in ((rows, height), (columns, width)))
        outside = None
    else:
        outside = (rows < 0) | (rows > height - 1) | (columns < 0) | (columns > width - 1)
    grid = torch.stack((columns * (2 / max(width - 1, 1)) - 1, rows * (2 / max(height - 1, 1)) - 1), dim=-1)
    warped = grid_sample(exact, grid, "bilinear", "border", align_corners=True).to(images.dtype)
    if outside is None:
        return warped
    filling = torch.as_tensor(fill, dtype=images.dtype, device=images.device)
    return torch.where(outside[:, None], filling, warped)


def _wrapped(at: Tensor, period: int) -> Tensor:
    if period == 0:
        return torch.zeros_like(at)
    below = at + period * (torch.floor(-at / period) + 1)
    above = at - period * torch.floor(at / period)
    return torch.where(at < 0, below, torch.where(at > period, above, at))
