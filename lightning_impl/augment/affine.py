"""ImageDataGenerator's affine transformation and flips as matrices from output to input pixels."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightning_impl.keras_semantics.profile import Profile

# Added to a float32 warp and taken away again, it rounds levels to 4,096ths: from 2,048 to 4,096 float32 has
# no finer step. scipy interpolates in float64, where a flat area comes out as flat as it was. In float32 it
# comes out a hair beside, up to 3e-5 of a level, and what cuts to whole levels afterwards, brightness_range,
# would take a level off all of it.
ROUNDS_TO_4096THS = 3072.0


RADIANS = math.pi / 180


class AffineParameters(NamedTuple):
    """What ImageDataGenerator draws for its affine transformation and flips, by its names, `(N,)` each.

    Attributes:
        theta: Rotation in degrees.
        tx: Shift in pixels along the first coordinate: of rows by height_shift_range.
        ty: The same along the second, by width_shift_range.
        shear: In degrees.
        zx: Zoom of the first coordinate; above 1 the picture shrinks.
        zy: Of the second.
        flip_horizontal: Whether the result's columns run backwards, bool.
        flip_vertical: Whether its rows do.
    """

    theta: ArrayLike
    tx: ArrayLike
    ty: ArrayLike
    shear: ArrayLike
    zx: ArrayLike
    zy: ArrayLike
    flip_horizontal: ArrayLike = False
    flip_vertical: ArrayLike = False


def keras_affine_matrices(
    drawn: AffineParameters, image_size: tuple[int, int], profile: Profile
) -> NDArray[np.float64]:
    """Where each output pixel comes from: `(row, column) = matrix @ (row', column', 1)`.

    Args:
        drawn: Of N images.
        image_size: Height and width in pixels.
        profile: The Keras generation.

    Returns:
        `(N, 2, 3)`.
    """
    theta, tx, ty, shear, zx, zy = (np.asarray(values, np.float64) for values in drawn[:6])
    angle, sheared = theta * RADIANS, (theta + shear) * RADIANS
    waves = (np.cos(angle), np.sin(angle), np.cos(sheared), np.sin(sheared))
    rows = _rows(*waves, tx, ty, zx, zy, image_size, profile)
    for axis, flips in ((0, drawn.flip_vertical), (1, drawn.flip_horizontal)):
        backwards = np.asarray(flips, np.float64)
        if backwards.any():
            rows = _backwards(rows, axis, backwards, image_size)
    matrices = np.empty((len(theta), 2, 3))
    for place, row in enumerate(rows):
        for column, entries in enumerate(row):
            matrices[:, place, column] = entries
    return matrices


def keras_affine_matrix(
    drawn: AffineParameters, image_size: tuple[int, int], profile: Profile
) -> NDArray[np.float64]:
    """The same for one image and plain numbers, `(2, 3)`, without a vector's costs."""
    theta, tx, ty, shear, zx, zy, flip_horizontal, flip_vertical = cast("tuple[float, ...]", drawn)
    angle, sheared = theta * RADIANS, (theta + shear) * RADIANS
    waves = (math.cos(angle), math.sin(angle), math.cos(sheared), math.sin(sheared))
    rows = _rows(*waves, tx, ty, zx, zy, image_size, profile)
    if flip_vertical:
        rows = _backwards(rows, 0, 1.0, image_size)
    if flip_horizontal:
        rows = _backwards(rows, 1, 1.0, image_size)
    return np.array(rows)


Row = tuple[Any, Any, Any]


def _backwards(rows: tuple[Row, Row], axis: int, share: Any, image_size: tuple[int, int]) -> tuple[Row, Row]:
    """The rows for a result whose rows (axis 0) or columns (1) run backwards where `share` is 1, not 0."""
    sign, last = 1 - 2 * share, share * (image_size[axis] - 1)
    (a, b, first), (d, e, second) = rows
    if axis == 0:
        return (a * sign, b, first + a * last), (d * sign, e, second + d * last)
    return (a, b * sign, first + b * last), (d, e * sign, second + e * last)


def _rows(
    cos: Any,
    sin: Any,
    cos_sheared: Any,
    sin_sheared: Any,
    tx: Any,
    ty: Any,
    zx: Any,
    zy: Any,
    image_size: tuple[int, int],
    profile: Profile,
) -> tuple[Row, Row]:
    """The two rows of the matrix, of numbers or of arrays.

    The product rotation · shift · shear · zoom, taken about a centre that differs between the generations
    (D23). Source: keras-preprocessing 1.1.2 image/affine_transformations.py, `apply_affine_transform` and
    `transform_matrix_offset_center`; keras 3.15 legacy/preprocessing/image.py, the same names.
    """
    a, b = zx * cos, -zy * sin_sheared
    d, e = zx * sin, zy * cos_sheared
    first_centre = image_size[0] / 2 + profile.affine_centre_offset
    second_centre = image_size[1] / 2 + profile.affine_centre_offset
    first = cos * tx - sin * ty + first_centre - a * first_centre - b * second_centre
    second = sin * tx + cos * ty + second_centre - d * first_centre - e * second_centre
    if profile.affine_takes_x_first:
        # P M P with the permutation P of the two coordinates. The centre was taken before it, height first,
        # so that on images that are not square its coordinates are swapped; that is Keras's.
        return (e, d, second), (b, a, first)
    return (a, b, first), (d, e, second)
