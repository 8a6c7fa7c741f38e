"""ImageDataGenerator's random operations on a batch: the twins of lightning_impl/augment/transforms.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment.affine import PARTS_OF_A_LEVEL, AffineParameters, keras_affine_matrices
from lightning_impl.augment.batched.warp import warp
from lightning_impl.augment.sampling import Draws, Rows
from lightning_impl.augment.transforms import KerasAffine, KerasBrightness, KerasChannelShift, ShiftRule
from lightning_impl.keras_semantics.profile import PROFILES


def column(values: NDArray, images: Tensor) -> Tensor:
    """A number an image, `(N, 1, 1, 1)`, in the images' float type and on their device."""
    dtype = images.dtype if images.is_floating_point() else torch.float32
    return torch.from_numpy(values).to(images.device, dtype)[:, None, None, None]


def as_float(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float()


def like(exact: Tensor, images: Tensor) -> Tensor:
    """Float levels as they are, or rounded to uint8 where the images were so."""
    return exact if images.is_floating_point() else exact.round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Affine:
    """The twin of KerasAffine."""

    transform: KerasAffine

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        return self.apply(images, self.draw(draws, rows, (images.shape[2], images.shape[3])))

    def apply(self, images: Tensor, drawn: AffineParameters) -> Tensor:
        """The warp by given parameters."""
        size = (images.shape[2], images.shape[3])
        matrices = keras_affine_matrices(drawn, size, PROFILES[self.transform.profile])
        warped = warp(as_float(images), matrices, self.transform.fill_mode, self.transform.cval)
        if images.is_floating_point():
            warped.mul_(PARTS_OF_A_LEVEL).round_().div_(PARTS_OF_A_LEVEL)
        return like(warped, images)

    def draw(self, draws: Draws, rows: Rows, size: tuple[int, int]) -> AffineParameters:
        """A number a row each, drawn in KerasAffine's order."""
        given = self.transform

        def within(limit: float) -> NDArray[np.float64]:
            return draws.uniform(-limit, limit, rows) if limit else np.zeros(len(rows))

        theta = within(given.rotation_range)
        tx = ShiftRule.of(given.height_shift_range).draw_rows(draws, rows, size[0])
        ty = ShiftRule.of(given.width_shift_range).draw_rows(draws, rows, size[1])
        shear = within(given.shear_range)
        if tuple(given.zoom_range) == (1, 1):
            return AffineParameters(theta, tx, ty, shear, np.ones(len(rows)), np.ones(len(rows)))
        zx = draws.uniform(*given.zoom_range, rows)
        return AffineParameters(theta, tx, ty, shear, zx, draws.uniform(*given.zoom_range, rows))


@dataclass(frozen=True)
class ChannelShift:
    """The twin of KerasChannelShift."""

    transform: KerasChannelShift

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        limit = self.transform.channel_shift_range
        return self.apply(images, draws.uniform(-limit, limit, rows))

    def apply(self, images: Tensor, intensity: NDArray[np.float64]) -> Tensor:
        """The shift by given grey levels, a number an image."""
        exact = as_float(images)
        low, high = _ends(exact)
        return like((exact + column(intensity, images)).clamp(low, high), images)


@dataclass(frozen=True)
class Brightness:
    """The twin of KerasBrightness."""

    transform: KerasBrightness

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        return self.apply(images, draws.uniform(*self.transform.brightness_range, rows))

    def apply(self, images: Tensor, factors: NDArray[np.float64]) -> Tensor:
        """The product with given factors, a number an image."""
        factor, exact = column(factors, images), as_float(images)
        low, high = _ends(exact)
        stretches = PROFILES[self.transform.profile].brightness_stretches
        span = high - low
        # An image of one level becomes black, as Keras has it: nothing to divide by.
        stretched = (exact - low).div_(torch.where(span == 0, 1, span)).mul_(255)
        is_outside = (low < 0) | (high > 255)
        levels = stretched if stretches else torch.where(is_outside, stretched, exact)
        # Nothing is below 0 here, and torch has floor vectorised, trunc not.
        levels = levels.floor().mul_(factor).clamp_(0, 255).floor_()
        if not stretches:
            levels = torch.where(is_outside, levels / 255 * span + low, levels)
        return like(levels, images)


def _ends(exact: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and highest level of each image, `(N, 1, 1, 1)`."""
    # torch's aminmax takes ten times as long as the two apart.
    return exact.amin((1, 2, 3), keepdim=True), exact.amax((1, 2, 3), keepdim=True)
