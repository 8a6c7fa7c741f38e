"""Albumentations' affine warps: Affine, ShiftScaleRotate and Rotate.

Sources: albumentations 2.0.8 augmentations/geometric/transforms.py and rotate.py, and functional.py,
`create_affine_transformation_matrix` and `warp_affine`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, where

from lightning_impl.augment.batched.keras_operations import as_float, like
from lightning_impl.augment.batched.per_image import draw_within, per_channel, per_image
from lightning_impl.augment.batched.stage import Builder, Built, Stage, refuse
from lightning_impl.augment.batched.warp import Border, warp
from lightning_impl.augment.sampling import Draws, Rows

BORDERS: dict[int, Border] = {
    cv2.BORDER_CONSTANT: "fade",
    cv2.BORDER_REPLICATE: "nearest",
    cv2.BORDER_REFLECT: "reflect",
    cv2.BORDER_REFLECT_101: "mirror",
}

Draw = Callable[[Any, Draws, Rows, tuple[int, int]], NDArray[np.float64]]


@dataclass(frozen=True)
class AffineWarp:
    """One warp for each image.

    Attributes:
        transform: The transform.
        draw: Its matrices, `(N, 3, 3)`, from input to output, coordinates (column, row, 1).
    """

    transform: Any
    draw: Draw

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        forward = self.draw(self.transform, draws, rows, (images.shape[2], images.shape[3]))
        # What np.allclose calls the identity, Albumentations leaves alone.
        is_identity = np.asarray(np.isclose(forward, np.eye(3)).all((1, 2)))
        border = BORDERS[self.transform.border_mode]
        fill: Tensor | float = 0.0
        if border == "fade" and np.any(self.transform.fill):
            values = np.asarray(self.transform.fill, np.float64)
            if not images.is_floating_point():
                values = np.rint(values).clip(0, 255)
            fill = per_channel(values, as_float(images))
        warped = like(warp(as_float(images), inverses(forward), border, fill), images)
        if is_identity.any():
            warped = where(per_image(is_identity, images, np.bool_), images, warped)
        return warped


def draw_affine(transform: Any, draws: Draws, rows: Rows, size: tuple[int, int]) -> NDArray[np.float64]:
    """Shift in whole pixels, x and y; shear, x and y; scale, x and y; angle: drawn in this order."""
    height, width = size
    if transform.translate_px is not None:
        limits = transform.translate_px
        shift = [draws.randint(int(limits[axis][0]), int(limits[axis][1]), rows) for axis in "xy"]
    else:
        shares = {axis: draw_within(transform.translate_percent[axis], draws, rows) for axis in "xy"}
        shift = [np.trunc(shares["x"] * width), np.trunc(shares["y"] * height)]
    shear = [-draw_within(transform.shear[axis], draws, rows) for axis in "xy"]
    draw_scale = draw_balanced if transform.balanced_scale else draw_within
    scale = [draw_scale(transform.scale[axis], draws, rows) for axis in "xy"]
    if transform.keep_ratio:
        scale[1] = scale[0]
    angle = draw_within(transform.rotate, draws, rows)
    return forward_matrices(shift, shear, scale, angle, size)


def draw_rotate(transform: Any, draws: Draws, rows: Rows, size: tuple[int, int]) -> NDArray[np.float64]:
    nothing, one = np.zeros(len(rows)), np.ones(len(rows))
    angle = draw_within(transform.limit, draws, rows)
    return forward_matrices([nothing, nothing], [nothing, nothing], [one, one], angle, size)


def draw_balanced(limits: tuple[float, float], draws: Draws, rows: Rows) -> NDArray[np.float64]:
    """A scale below 1 or above 1, either as likely, whatever the lengths of the two ranges."""
    ranges = [each for each in ((limits[0], 1.0), (1.0, limits[1])) if each[0] < each[1]]
    if not ranges:
        return np.ones(len(rows))
    chosen = draws.below(2, rows) if len(ranges) == 2 else np.zeros(len(rows), np.int64)
    lows, highs = np.array(ranges).T[:, chosen]
    return lows + (highs - lows) * draws.random(rows)


def forward_matrices(
    shift: list[NDArray],
    shear: list[NDArray[np.float64]],
    scale: list[NDArray[np.float64]],
    angle: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float64]:
    """Centre · shift · shear · rotation · scale · back to the corner.

    Args:
        shift: Pixels, x and y, `(N,)` each, as are the others.
        shear: Degrees, x and y.
        scale: x and y; above 1 the picture grows.
        angle: Degrees, against the clock.
        size: Height and width in pixels.

    Returns:
        `(N, 3, 3)`: (column, row, 1) of the output = matrix @ (column, row, 1) of the input.
    """
    height, width = size
    turned = np.deg2rad(angle % 360)
    centre = (width / 2 - 0.5, height / 2 - 0.5)
    tangent = [np.tan(np.deg2rad(each)) for each in shear]
    cos, sin = np.cos(turned), np.sin(turned)
    return (
        _matrices(angle, 1, 0, centre[0], 0, 1, centre[1])
        @ _matrices(angle, 1, 0, shift[0], 0, 1, shift[1])
        @ _matrices(angle, 1, tangent[0], 0, tangent[1], 1, 0)
        @ _matrices(angle, cos, sin, 0, -sin, cos, 0)
        @ _matrices(angle, scale[0], 0, 0, 0, scale[1], 0)
        @ _matrices(angle, 1, 0, -centre[0], 0, 1, -centre[1])
    )


def _matrices(like_these: NDArray, *entries: float | NDArray) -> NDArray[np.float64]:
    """`(N, 3, 3)` of the upper six entries, each a number or `(N,)`."""
    stacked = np.stack([np.broadcast_to(each, like_these.shape) for each in (*entries, 0, 0, 1)], axis=1)
    return stacked.reshape(-1, 3, 3).astype(np.float64)


def inverses(forward: NDArray[np.float64]) -> NDArray[np.float64]:
    """From output to input, `(N, 2, 3)` in coordinates (row, column, 1), as `warp` takes them.

    OpenCV's formula: a matrix that has no inverse takes every pixel from the corner.
    """
    a, b, c = forward[:, 0].T
    d, e, f = forward[:, 1].T
    determinant = a * e - b * d
    scale = np.divide(1, determinant, out=np.zeros_like(determinant), where=determinant != 0)
    to_row = np.stack([a, -d, d * c - a * f], axis=1)
    to_column = np.stack([-b, e, b * f - e * c], axis=1)
    return np.stack([to_row, to_column], axis=1) * scale[:, None, None]


def builder(draw: Draw) -> Builder:
    def build(transform: Any, stage: Stage) -> Built:
        interpolation, border = transform.interpolation, transform.border_mode
        borders = "use cv2.BORDER_CONSTANT, REPLICATE, REFLECT or REFLECT_101"
        one_size = "a batch has one size: use False"
        refuse(
            (interpolation != cv2.INTER_LINEAR, f"{interpolation=}", "use cv2.INTER_LINEAR"),
            (border not in BORDERS, f"border_mode={border}", borders),
            (getattr(transform, "fit_output", False), "fit_output=True", one_size),
            (getattr(transform, "crop_border", False), "crop_border=True", one_size),
        )
        return AffineWarp(transform, draw), stage

    return build


BUILDERS: dict[type, Builder] = {
    A.Affine: builder(draw_affine),
    A.ShiftScaleRotate: builder(draw_affine),
    A.Rotate: builder(draw_rotate),
}
