"""ImageDataGenerator's random operations as Albumentations transforms, to be used in any `A.Compose`.

They take and give `(H, W, 3)` images of 0-255, float32 as Keras has them, or uint8, rounded once a transform.
What a generator of 2021 and one of today do differently goes by `profile` (keras_semantics.profile).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from albumentations import ImageOnlyTransform
from albumentations.core.transforms_interface import BaseTransformInitSchema
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from lightning_impl.augment.affine import ROUNDS_TO_4096THS, AffineParameters, keras_affine_matrix
from lightning_impl.keras_semantics.profile import PROFILES

FillMode = Literal["nearest", "reflect", "wrap", "constant"]
ProfileName = Literal["tf2.4", "keras3"]
ZeroOrMore = Annotated[float, Field(ge=0)]

# scipy's names for OpenCV's. Its `constant` ends at the last pixel's centre, where OpenCV fades into the
# fill, and its `wrap` has a period one pixel short: these two are scipy's own to do.
CV2_BORDER = {"nearest": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT}

# Of the images, where a flip is asked for: keras-preprocessing 1.1.2 image/image_data_generator.py,
# `get_random_transform`, `np.random.random() < 0.5`.
FLIP_SHARE = 0.5

COLUMN_FIRST = np.array([1, 0, 2])


@dataclass(frozen=True)
class ShiftRule:
    """How a width_shift_range or height_shift_range is drawn.

    keras-preprocessing 1.1.2 image/image_data_generator.py, `get_random_transform`: numpy's `choice` takes a
    whole number n for range(n), a list as it is, and refuses other numbers, which are drawn between -s and s;
    where all are below 1 they are shares of the side.

    Attributes:
        choices: What to choose from, with either sign; empty for a number that is drawn.
        limit: The largest shift, where it is drawn.
        is_share: Of the side; else in pixels.
    """

    choices: tuple[float, ...]
    limit: float
    is_share: bool

    @classmethod
    def of(cls, setting: float | list[float] | tuple[float, ...]) -> ShiftRule:
        if isinstance(setting, list | tuple):
            return cls(tuple(setting), 0.0, max(setting) < 1)
        if isinstance(setting, int) and setting > 0:
            return cls(tuple(range(setting)), 0.0, False)
        return cls((), float(setting), setting < 1)

    def draw(self, source: random.Random, side: int) -> float:
        """One shift in pixels."""
        if not self.choices:
            if not self.limit:
                return 0.0
            shift = source.uniform(-self.limit, self.limit)
        else:
            shift = source.choice(self.choices) * source.choice((-1, 1))
        return shift * side if self.is_share else shift

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """Between what ends each of the numbers that `draw` takes lies; of a choice, of its place."""
        if self.choices:
            return [(0, len(self.choices)), (0, 2)]
        return [(-self.limit, self.limit)] if self.limit else []

    def in_pixels(self, numbers: Iterator[NDArray[np.float64]], side: int) -> NDArray[np.float64]:
        """What `draw` gives, for many images: a shift in pixels for each.

        Args:
            numbers: One of uniform numbers for each of the intervals.
            side: In pixels.
        """
        shifts = next(numbers)
        if self.choices:
            shifts = np.asarray(self.choices, np.float64)[shifts.astype(np.int64)]
            shifts = shifts * np.array([-1, 1])[next(numbers).astype(np.int64)]
        return shifts * side if self.is_share else shifts


class KerasAffine(ImageOnlyTransform):
    """ImageDataGenerator's rotation, shifts, shear, zoom and flips: one warp, bilinear.

    Against keras-preprocessing 1.1.2 and keras 3.15 on float images within 0.02 grey levels at 128 pixels a
    side (parity_tests/test_augment_keras.py). `A.Affine` cannot do this: it moves by whole pixels only, and
    its parts follow in another order (D23).

    Args:
        rotation_range: Degrees, 0 or more.
        width_shift_range: As in `AugmentSettings`, as are all the others.
        height_shift_range: The same.
        shear_range: Degrees, 0 or more.
        zoom_range: Low and high factor.
        fill_mode: nearest, reflect, wrap or constant.
        cval: The grey level of `constant`.
        profile: tf2.4 or keras3.
        horizontal_flip: Half of the results run backwards along their rows: the warp of flipped coordinates,
            where `A.HorizontalFlip` would move each pixel once more.
        vertical_flip: The same along their columns.
        p: ImageDataGenerator always applies it: 1.
    """

    class InitSchema(BaseTransformInitSchema):
        rotation_range: ZeroOrMore
        width_shift_range: int | float | list[float] | tuple[float, ...]
        height_shift_range: int | float | list[float] | tuple[float, ...]
        shear_range: ZeroOrMore
        zoom_range: tuple[float, float]
        fill_mode: FillMode
        cval: float
        profile: ProfileName
        horizontal_flip: bool
        vertical_flip: bool

    def __init__(
        self,
        rotation_range: float = 0.0,
        width_shift_range: float | list[float] = 0.0,
        height_shift_range: float | list[float] = 0.0,
        shear_range: float = 0.0,
        zoom_range: tuple[float, float] = (1.0, 1.0),
        fill_mode: FillMode = "nearest",
        cval: float = 0.0,
        profile: ProfileName = "tf2.4",
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.rules = ShiftRule.of(height_shift_range), ShiftRule.of(width_shift_range)
        self.shear_range = shear_range
        self.zoom_range = zoom_range
        self.zooms = tuple(zoom_range) != (1, 1)
        self.fill_mode = fill_mode
        self.cval = cval
        self.profile = profile
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        height, width = params["shape"][:2]
        source = self.py_random

        def within(limit: float) -> float:
            return source.uniform(-limit, limit) if limit else 0.0

        drawn = {
            "theta": within(self.rotation_range),
            "tx": self.rules[0].draw(source, height),
            "ty": self.rules[1].draw(source, width),
            "shear": within(self.shear_range),
        }
        drawn["zx"] = source.uniform(*self.zoom_range) if self.zooms else 1.0
        drawn["zy"] = source.uniform(*self.zoom_range) if self.zooms else 1.0
        drawn["flip_horizontal"] = self.horizontal_flip and source.random() < FLIP_SHARE
        drawn["flip_vertical"] = self.vertical_flip and source.random() < FLIP_SHARE
        return drawn

    def apply(
        self,
        img: NDArray,
        theta: float,
        tx: float,
        ty: float,
        shear: float,
        zx: float,
        zy: float,
        flip_horizontal: bool = False,
        flip_vertical: bool = False,
        **params: Any,
    ) -> NDArray:
        size = (img.shape[0], img.shape[1])
        drawn = AffineParameters(theta, tx, ty, shear, zx, zy, flip_horizontal, flip_vertical)
        matrix = keras_affine_matrix(drawn, size, PROFILES[self.profile])
        if self.fill_mode in CV2_BORDER:
            warped = warp_by_cv2(img, matrix, CV2_BORDER[self.fill_mode])
            if img.dtype == np.uint8:
                return warped
            above = np.add(warped, np.float32(ROUNDS_TO_4096THS), out=warped)
            return np.subtract(above, np.float32(ROUNDS_TO_4096THS), out=above)
        exact: NDArray[np.float32] = img.astype(np.float32)
        moved: NDArray[np.float32] = np.empty_like(exact)
        for channel in range(img.shape[2]):
            ndimage.affine_transform(
                exact[..., channel],
                matrix[:, :2],
                matrix[:, 2],
                output=moved[..., channel],
                order=1,
                mode=self.fill_mode,
                cval=self.cval,
            )
        return as_type_of(moved, img)


class KerasChannelShift(ImageOnlyTransform):
    """ImageDataGenerator's channel_shift_range: one number for all channels, cut off at the image's own ends.

    keras-preprocessing 1.1.2 image/affine_transformations.py, `apply_channel_shift`; the same in keras 3.15.

    Args:
        channel_shift_range: Grey levels, 0 or more.
        p: ImageDataGenerator always applies it: 1.
    """

    class InitSchema(BaseTransformInitSchema):
        channel_shift_range: ZeroOrMore

    def __init__(self, channel_shift_range: float = 0.0, p: float = 1.0) -> None:
        super().__init__(p=p)
        self.channel_shift_range = channel_shift_range

    def get_params(self) -> dict[str, Any]:
        return {"intensity": self.py_random.uniform(-self.channel_shift_range, self.channel_shift_range)}

    def apply(self, img: NDArray, intensity: float, **params: Any) -> NDArray:
        exact = img.astype(np.float32)
        return as_type_of(np.clip(exact + np.float32(intensity), exact.min(), exact.max()), img)


class KerasBrightness(ImageOnlyTransform):
    """ImageDataGenerator's brightness_range: the image times a factor, in whole grey levels.

    The generator of 2021 stretches each image to 0-255 first, whatever the factor (D39): (x - min) / (max -
    min) · 255, cut to whole levels. Sources: keras-preprocessing 1.1.2 image/affine_transformations.py and
    keras 3.15 legacy/preprocessing/image.py, `apply_brightness_shift`; Pillow's ImageEnhance.Brightness.

    Args:
        brightness_range: The lowest and highest factor.
        profile: tf2.4 or keras3.
        p: ImageDataGenerator always applies it: 1.
    """

    class InitSchema(BaseTransformInitSchema):
        brightness_range: tuple[ZeroOrMore, ZeroOrMore]
        profile: ProfileName

    def __init__(
        self,
        brightness_range: tuple[float, float] = (1.0, 1.0),
        profile: ProfileName = "tf2.4",
        p: float = 1.0,
    ) -> None:
        super().__init__(p=p)
        self.brightness_range = brightness_range
        self.profile = profile

    def get_params(self) -> dict[str, Any]:
        return {"factor": self.py_random.uniform(*self.brightness_range)}

    def apply(self, img: NDArray, factor: float, **params: Any) -> NDArray:
        exact = np.ascontiguousarray(img, np.float32)
        # In half the time of numpy's min and max.
        lowest, highest, _, _ = cv2.minMaxLoc(exact.reshape(len(exact), -1))
        low, high = np.float32(lowest), np.float32(highest)
        is_outside = bool(low < 0 or high > 255)
        stretches = PROFILES[self.profile].brightness_stretches
        is_own = stretches or is_outside
        if is_own:
            exact = np.subtract(exact, low)
            if high != low:
                exact /= high - low
            exact *= 255
        # Whole levels from here on: Pillow blends each with black in float32, and cuts off; none is below 0.
        levels = np.floor(exact, out=exact if is_own else None)
        levels *= np.float32(factor)
        if factor > 1:
            # numpy's minimum takes twice as long.
            cv2.threshold(levels, 255, 255, cv2.THRESH_TRUNC, dst=levels)
        np.floor(levels, out=levels)
        if is_outside and not stretches:
            levels = levels / 255 * (high - low) + low
        return as_type_of(levels, img)


def warp_by_cv2(img: NDArray, matrix: NDArray[np.float64], border: int) -> NDArray:
    """One bilinear warp by OpenCV, `(row, column) = matrix @ (row', column', 1)` as in affine.py.

    Three channels get a fourth on the way: OpenCV 5 takes four with one load, three one by one. The result
    is the same to the bit.
    """
    has_three = img.ndim == 3 and img.shape[2] == 3
    warped = cv2.warpAffine(
        cv2.cvtColor(img, cv2.COLOR_RGB2RGBA) if has_three else img,
        # OpenCV's coordinates are (column, row).
        matrix[::-1, COLUMN_FIRST],
        (img.shape[1], img.shape[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=border,
    )
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB) if has_three else warped


def as_type_of(exact: NDArray[np.float32], img: NDArray) -> NDArray:
    """float32 levels as they are, or rounded to uint8 where the image was so."""
    if img.dtype == np.uint8:
        return np.clip(np.rint(exact), 0, 255).astype(np.uint8)
    return exact
