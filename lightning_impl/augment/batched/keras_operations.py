"""ImageDataGenerator's random operations on a batch: the twins of lightning_impl/augment/transforms.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment.affine import ROUNDS_TO_4096THS, AffineParameters, keras_affine_matrices
from lightning_impl.augment.batched.per_image import per_image
from lightning_impl.augment.batched.warp import warp
from lightning_impl.augment.sampling import Draws, Rows
from lightning_impl.augment.transforms import FLIP_SHARE, KerasAffine, KerasBrightness, KerasChannelShift
from lightning_impl.keras_semantics.profile import PROFILES

# Below the difference of any two levels of an image.
SMALLEST_SPAN = float(np.finfo(np.float32).tiny)


def as_float(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float()


def like(exact: Tensor, images: Tensor) -> Tensor:
    """Float levels as they are, or rounded to uint8 where the images were so."""
    return exact if images.is_floating_point() else exact.round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Affine:
    """The twin of KerasAffine.

    Attributes:
        transform: KerasAffine.
        stays_raised: Whether float levels are left higher by ROUNDS_TO_4096THS, for a stretch that takes each
            image's lowest level away.
    """

    transform: KerasAffine
    stays_raised: bool = False

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        return self.apply(images, self.draw(draws, rows, (images.shape[2], images.shape[3])))

    def apply(self, images: Tensor, drawn: AffineParameters) -> Tensor:
        """The warp by given parameters."""
        size = (images.shape[2], images.shape[3])
        matrices = keras_affine_matrices(drawn, size, PROFILES[self.transform.profile])
        warped = warp(as_float(images), matrices, self.transform.fill_mode, self.transform.cval)
        if images.is_floating_point():
            warped.add_(ROUNDS_TO_4096THS)
            if not self.stays_raised:
                warped.sub_(ROUNDS_TO_4096THS)
        return like(warped, images)

    def draw(self, draws: Draws, rows: Rows, size: tuple[int, int]) -> AffineParameters:
        """A number a row each, drawn in KerasAffine's order."""
        given = self.transform
        low, span = self._intervals
        # One product for all: numpy's calls cost more than their work.
        numbers = iter((low + span * draws.several(len(low), rows)).T)
        none = np.zeros(len(rows))
        theta = next(numbers) if given.rotation_range else none
        tx, ty = (
            rule.in_pixels(numbers, side) if rule.intervals else none
            for rule, side in zip(given.rules, size, strict=True)
        )
        shear = next(numbers) if given.shear_range else none
        zx, zy = (next(numbers), next(numbers)) if given.zooms else (none + 1, none + 1)
        flips = (
            next(numbers) < FLIP_SHARE if asked else none
            for asked in (given.horizontal_flip, given.vertical_flip)
        )
        return AffineParameters(theta, tx, ty, shear, zx, zy, *flips)

    @cached_property
    def _intervals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The low end and the width of each number drawn, in KerasAffine's order."""
        given = self.transform
        ends = [(-given.rotation_range, given.rotation_range)] if given.rotation_range else []
        for rule in given.rules:
            ends += rule.intervals
        ends += [(-given.shear_range, given.shear_range)] if given.shear_range else []
        ends += [given.zoom_range] * 2 if given.zooms else []
        ends += [(0, 1)] * (given.horizontal_flip + given.vertical_flip)
        low, high = np.array(ends, np.float64).reshape(-1, 2).T
        return low, high - low


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
        return like((exact + per_image(intensity, images)).clamp(low, high), images)


@dataclass(frozen=True)
class Brightness:
    """The twin of KerasBrightness."""

    transform: KerasBrightness

    @property
    def stretches(self) -> bool:
        """Whether levels may come raised by a constant: each image's lowest is taken away first."""
        return PROFILES[self.transform.profile].brightness_stretches

    def __call__(self, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        return self.apply(images, draws.uniform(*self.transform.brightness_range, rows))

    def apply(self, images: Tensor, factors: NDArray[np.float64]) -> Tensor:
        """The product with given factors, a number an image. Float images may change in place."""
        factor, exact = per_image(factors, images), as_float(images)
        low, high = _ends(exact)
        span = high - low
        # An image of one level becomes black, as Keras has it: 0 by anything.
        divisor = span.clamp_min(SMALLEST_SPAN)
        if self.stretches:
            # In place: nobody needs what it was, and memory costs more than arithmetic here.
            stretched = exact.sub_(low).div_(divisor).mul_(255)
            return like(_times_whole(stretched, factor), images)
        stretched = (exact - low).div_(divisor).mul_(255)
        is_outside = (low < 0) | (high > 255)
        levels = _times_whole(torch.where(is_outside, stretched, exact), factor)
        return like(torch.where(is_outside, levels / 255 * span + low, levels), images)


def _times_whole(exact: Tensor, factor: Tensor) -> Tensor:
    """Levels cut to whole ones, times a factor, cut again; in place."""
    # Nothing is below 0 here, and torch has floor vectorised, trunc not.
    return exact.floor_().mul_(factor).clamp_(max=255).floor_()


def _ends(exact: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and highest level of each image, `(N, 1, 1, 1)`."""
    # torch's aminmax takes ten times as long as the two apart.
    return exact.amin((1, 2, 3), keepdim=True), exact.amax((1, 2, 3), keepdim=True)
