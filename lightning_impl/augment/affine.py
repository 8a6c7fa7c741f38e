"""ImageDataGenerator's affine transformation as matrices from output to input pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightning_impl.keras_semantics.profile import Profile

# Parts of a grey level to which a float32 warp is rounded. scipy interpolates in float64, where a flat area
# comes out as flat as it was. In float32 it comes out a hair beside, up to 3e-5 of a level, and what cuts to
# whole levels afterwards, brightness_range, would take a level off all of it.
PARTS_OF_A_LEVEL = 4096


class AffineParameters(NamedTuple):
    """What ImageDataGenerator draws for its affine transformation, by its names, `(N,)` each.

    Attributes:
        theta: Rotation in degrees.
        tx: Shift in pixels along the first coordinate: of rows by height_shift_range.
        ty: The same along the second, by width_shift_range.
        shear: In degrees.
        zx: Zoom of the first coordinate; above 1 the picture shrinks.
        zy: Of the second.
    """

    theta: ArrayLike
    tx: ArrayLike
    ty: ArrayLike
    shear: ArrayLike
    zx: ArrayLike
    zy: ArrayLike


def keras_affine_matrices(
    drawn: AffineParameters,
    image_size: tuple[int, int],
    profile: Profile,
) -> NDArray[np.float64]:
    """Where each output pixel comes from: `(row, column) = matrix @ (row', column', 1)`.

    The product rotation · shift · shear · zoom, taken about a centre that differs between the generations
    (D23). Source: keras-preprocessing 1.1.2 image/affine_transformations.py, `apply_affine_transform` and
    `transform_matrix_offset_center`; keras 3.15 legacy/preprocessing/image.py, the same names.

    Args:
        drawn: Of N images.
        image_size: Height and width in pixels.
        profile: The Keras generation.

    Returns:
        `(N, 2, 3)`.
    """
    theta, tx, ty, shear, zx, zy = (np.asarray(values, np.float64) for values in drawn)
    angle, sheared = np.deg2rad(theta), np.deg2rad(shear)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = zx * cos, -zy * np.sin(angle + sheared)
    d, e = zx * sin, zy * np.cos(angle + sheared)
    first_centre, second_centre = (side / 2 + profile.affine_centre_offset for side in image_size)
    first = cos * tx - sin * ty + first_centre - a * first_centre - b * second_centre
    second = sin * tx + cos * ty + second_centre - d * first_centre - e * second_centre
    matrices = np.stack([np.stack([a, b, first], -1), np.stack([d, e, second], -1)], -2)
    if profile.affine_takes_x_first:
        # P M P with the permutation P of the two coordinates. The centre was taken before it, height first,
        # so that on images that are not square its coordinates are swapped; that is Keras's.
        matrices = matrices[:, ::-1][:, :, [1, 0, 2]]
    return matrices
