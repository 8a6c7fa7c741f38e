"""`data.augment` of a config: ImageDataGenerator's arguments by its own names, alike on both sides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from parity_common.command_errors import UserError, did_you_mean
from parity_common.primitives import primitive

Range = float | tuple[float, float]
Shift = int | float | list[float]


@dataclass(frozen=True)
class AugmentSettings:
    """What ImageDataGenerator draws at random, and how it standardises.

    keras-preprocessing 1.1.2 image/image_data_generator.py; keras 3.15 legacy/preprocessing/image.py.

    Every range is 0 or null by default: nothing is augmented. Angles are in degrees, shear_range too,
    whatever the radians of older documentation say.

    Attributes:
        rotation_range: Rotates by up to so many degrees, either way.
        width_shift_range: Below 1 a share of the width; from 1 on pixels; a whole number n moves by a whole
            number of pixels below n; a list names the shifts to choose from.
        height_shift_range: The same of the height.
        shear_range: Shears by up to so many DEGREES.
        zoom_range: z means [1 - z, 1 + z]. Above 1 the picture shrinks. Height and width are drawn apart.
        horizontal_flip: Mirrors every second image on average.
        vertical_flip: Turns every second image upside down on average.
        brightness_range: Factors [low, high]; null leaves the brightness. The generator of 2021 stretches
            each image to 0-255 first (D39).
        channel_shift_range: Adds up to so many grey levels, the same to all channels.
        fill_mode: What lies outside the image: nearest, reflect, wrap or constant.
        cval: The grey level of fill_mode constant.
        rescale: Every pixel value times this, in training and validation; null leaves 0-255.
        samplewise_center: Subtracts each image's mean, all channels together.
        samplewise_std_normalization: Divides by each image's deviation.
        featurewise_center: Subtracts the training images' mean, a channel each.
        featurewise_std_normalization: Divides by the training images' deviation, a channel each.
        zca_whitening: Decorrelates all values of an image; costs (height width 3) squared numbers.
        zca_epsilon: Keeps whitening from dividing by 0.
    """

    rotation_range: float = 0.0
    width_shift_range: Shift = 0.0
    height_shift_range: Shift = 0.0
    shear_range: float = 0.0
    zoom_range: Range = 0.0
    horizontal_flip: bool = False
    vertical_flip: bool = False
    brightness_range: tuple[float, float] | None = None
    channel_shift_range: float = 0.0
    fill_mode: Literal["nearest", "reflect", "wrap", "constant"] = "nearest"
    cval: float = 0.0
    rescale: float | None = 1 / 255
    samplewise_center: bool = False
    samplewise_std_normalization: bool = False
    featurewise_center: bool = False
    featurewise_std_normalization: bool = False
    zca_whitening: bool = False
    zca_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("rotation_range", "shear_range", "channel_shift_range", "zca_epsilon"):
            _check(name, getattr(self, name) >= 0, getattr(self, name), "a number, 0 or more")
        for name in ("width_shift_range", "height_shift_range"):
            value = getattr(self, name)
            if isinstance(value, list | tuple):
                _check(name, len(value) > 0, value, "a list of shifts that is not empty")
            else:
                _check(name, 0 <= value < math.inf, value, "a number, 0 or more, or a list of shifts")
        low, high = self.zoom_factors
        _check("zoom_range", 0 < low <= high < math.inf, self.zoom_range, "a share below 1, or [low, high]")
        if self.brightness_range is not None:
            low, high = self.brightness_range
            _check(
                "brightness_range", 0 <= low <= high, list(self.brightness_range), "[low, high], 0 or more"
            )
        if self.rescale is not None:
            _check("rescale", 0 < self.rescale < math.inf, self.rescale, "a number above 0, or null")

    @property
    def zoom_factors(self) -> tuple[float, float]:
        """The zoom's low and high end."""
        if isinstance(self.zoom_range, int | float):
            return 1 - self.zoom_range, 1 + self.zoom_range
        low, high = self.zoom_range
        return low, high

    @property
    def is_random(self) -> bool:
        """Whether anything is drawn: else every epoch sees the images as they are."""
        return bool(
            self.rotation_range
            or self.width_shift_range
            or self.height_shift_range
            or self.shear_range
            or self.zoom_factors != (1, 1)
            or self.horizontal_flip
            or self.vertical_flip
            or self.brightness_range
            or self.channel_shift_range
        )

    @property
    def only_rescales(self) -> bool:
        """Whether standardising is nothing but `rescale`."""
        return not (
            self.learns_from_training_images or self.samplewise_center or self.samplewise_std_normalization
        )

    @property
    def learns_from_training_images(self) -> bool:
        """Whether standardising needs figures of the training set: ImageDataGenerator's `fit`."""
        return self.featurewise_center or self.featurewise_std_normalization or self.zca_whitening


def augment_settings(given: AugmentSettings | Mapping[str, Any]) -> AugmentSettings:
    """The settings as plain values; from Python a dict of them does as well.

    Raises:
        UserError: An argument that ImageDataGenerator does not have here, or a value out of range.
    """
    named = given if isinstance(given, Mapping) else asdict(given)
    known = [entry.name for entry in fields(AugmentSettings)]
    for name in named:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise UserError(f"data.augment has no argument {name}{hint}: it takes {', '.join(known)}")
    return AugmentSettings(**primitive(named, "data.augment"))


def _check(name: str, holds: bool, value: Any, wanted: str) -> None:
    if not holds:
        raise UserError(f"data.augment.{name} is {value}: give {wanted}")
