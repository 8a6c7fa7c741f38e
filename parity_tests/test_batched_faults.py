"""Checks that can fail: a seeded fault in each family of batched transforms, and each is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from batched_cases import CASES, ODD, SQUARE, A, batched, compared, difference, draw_images, one_by_one
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment.batched import (
    affine,
    dropout,
    gray,
    hue,
    normalize,
    registry,
    resize,
    resized_crop,
)
from lightning_impl.augment.batched.per_image import draw_within, per_image
from lightning_impl.augment.batched.stage import same_stage
from lightning_impl.augment.batched.tone import multiply_and_shift
from lightning_impl.augment.batched.warp import warp
from lightning_impl.augment.sampling import Draws, Rows

Patch = pytest.MonkeyPatch


def _replace(patch: Patch, kind: type, make: Callable[[Any], Any]) -> None:
    patch.setitem(registry.BUILDERS, kind, same_stage(make))


def _turn_with_the_clock(patch: Patch) -> None:
    right = torch.rot90
    patch.setattr(torch, "rot90", lambda images, k, dims: right(images, -k, dims))


def _scales_swapped(patch: Patch) -> None:
    """Both scales are drawn, y first."""

    def draw(transform: Any, draws: Draws, rows: Rows, size: tuple[int, int]) -> NDArray[np.float64]:
        nothing = np.zeros(len(rows))
        for _ in range(4):
            draws.random(rows)
        scale = [draw_within(transform.scale[side], draws, rows) for side in "yx"][::-1]
        angle = draw_within(transform.rotate, draws, rows)
        return affine.forward_matrices([nothing, nothing], [nothing, nothing], scale, angle, size)

    _replace(patch, A.Affine, lambda transform: affine.AffineWarp(transform, draw))


def _centre_half_a_pixel_off(patch: Patch) -> None:
    right = affine.forward_matrices

    def matrices(shift: Any, shear: Any, scale: Any, angle: Any, size: tuple[int, int]) -> Any:
        return right(shift, shear, scale, angle, (size[0] + 1, size[1] + 1))

    patch.setattr(affine, "forward_matrices", matrices)


def _window_drawn_left_first(patch: Patch) -> None:
    right = resized_crop.ResizedCrop.draw

    def draw(self: Any, draws: Draws, rows: Rows, size: tuple[int, int]) -> NDArray[np.int64]:
        top, left, height, width = right(self, draws, rows, size).T
        above, beside = size[0] - height + 1, size[1] - width + 1
        return np.stack([left * above // beside, top * beside // above, height, width], axis=1)

    patch.setattr(resized_crop.ResizedCrop, "draw", draw)


def _corners_not_centres(patch: Patch) -> None:
    def pixels(starts: NDArray, sides: NDArray, count: int, dtype: type) -> tuple[Any, NDArray, NDArray]:
        places: NDArray = (np.arange(count) * (sides / count)[:, None]).astype(dtype)
        first, last = np.floor(places), sides[:, None] - 1
        pair = [starts[:, None] + np.clip(first + step, 0, last).astype(np.int64) for step in (0, 1)]
        return pair, places - first, first >= last

    patch.setattr(resize, "_pixels", pixels)


def _brightness_before_contrast(patch: Patch) -> None:
    def make(transform: Any) -> Any:
        def change(images: Tensor, draws: Draws, rows: Rows) -> Tensor:
            shift = 255 * draw_within(transform.brightness_limit, draws, rows)
            factor = 1 + draw_within(transform.contrast_limit, draws, rows)
            return multiply_and_shift(images, per_image(factor, images), per_image(shift, images))

        return change

    _replace(patch, A.RandomBrightnessContrast, make)


def _jitter_always_in_one_order(patch: Patch) -> None:
    right = Draws.orders

    def orders(self: Draws, count: int, rows: Rows) -> NDArray[np.int64]:
        return np.sort(right(self, count, rows), axis=1)

    patch.setattr(Draws, "orders", orders)


def _hue_rounded_everywhere(patch: Patch) -> None:
    patch.setattr(hue, "PIXELS_AT_ONCE", 1000)


def _hue_cut_everywhere(patch: Patch) -> None:
    patch.setattr(hue, "PIXELS_AT_ONCE", 1)


def _grey_of_other_shares(patch: Patch) -> None:
    """0.2989, 0.587 and 0.114, as torchvision has them."""
    patch.setattr(gray, "WHOLE_SHARES", (9794, 19235, 3736))


def _widths_before_heights(patch: Patch) -> None:
    right = dropout.draw_blocks
    patch.setattr(dropout, "draw_blocks", lambda *given: right(*given)[[1, 0, 2, 3]])


def _seed_of_dropout_not_drawn(patch: Patch) -> None:
    right = dropout.CoarseDropout.draw

    def draw(self: Any, draws: Draws, rows: Rows, size: tuple[int, int]) -> Any:
        holes = right(self, draws, rows, size)
        draws.drawn[rows] -= 1
        return holes

    patch.setattr(dropout.CoarseDropout, "draw", draw)


def _normalised_from_shares(patch: Patch) -> None:
    """(x / 255 - mean) / deviation: the same but for the last bits."""

    def normalised(self: Any, images: Tensor, draws: Draws, rows: Rows) -> Tensor:
        mean, deviation = (
            torch.tensor(each)[:, None, None] for each in (self.transform.mean, self.transform.std)
        )
        return (images / 255 - mean) / deviation

    patch.setattr(normalize.Normalize, "__call__", normalised)


FAULTS: dict[Callable[[Patch], None], Any] = {
    _turn_with_the_clock: (lambda: [CASES["quarter-turns"].make()], SQUARE),
    _scales_swapped: (lambda: [A.Affine(scale=(0.7, 1.4), rotate=(-40, 40), p=1)], ODD),
    _centre_half_a_pixel_off: (lambda: [CASES["rotate"].make()], ODD),
    _window_drawn_left_first: (lambda: [CASES["resized-crop"].make()], ODD),
    _corners_not_centres: (lambda: [CASES["resized-crop"].make()], ODD),
    _brightness_before_contrast: (lambda: [CASES["brightness-contrast"].make()], ODD),
    _jitter_always_in_one_order: (lambda: [CASES["jitter-without-hue"].make()], ODD),
    _hue_rounded_everywhere: (lambda: [CASES["jitter-of-hue"].make()], ODD),
    _hue_cut_everywhere: (lambda: [CASES["jitter-of-hue"].make()], ODD),
    _grey_of_other_shares: (lambda: [CASES["grey"].make()], ODD),
    _widths_before_heights: (lambda: [CASES["dropout-by-share"].make()], ODD),
    _seed_of_dropout_not_drawn: (lambda: [CASES["dropout-by-share"].make(), A.HorizontalFlip()], ODD),
    _normalised_from_shares: (lambda: [CASES["normalize"].make()], ODD),
}


@pytest.mark.parametrize("fault", list(FAULTS), ids=lambda fault: fault.__name__.strip("_"))
def test_fault_is_seen(fault: Callable[[Patch], None], monkeypatch: Patch) -> None:
    make, size = FAULTS[fault]
    is_warp = isinstance(make()[0], A.Affine | A.Rotate)

    def holds() -> bool:
        found = compared(A.Compose(make()), size, "faithful")
        return found.most <= is_warp and found.share_equal >= (0.999 if is_warp else 1)

    assert holds()
    fault(monkeypatch)
    assert not holds()


def test_two_warps_in_one_are_not_the_two() -> None:
    """Why two warps of a pipeline are never made one: the first one's border and blur are lost."""
    first, second = A.Rotate((-40, 40), p=1), A.Affine(scale=(0.7, 1.4), p=1)
    images = draw_images(ODD)

    def fused(given: Tensor, draws: Draws, rows: Rows) -> Tensor:
        before = affine.draw_rotate(first, draws, rows, ODD)
        matrices = affine.draw_affine(second, draws, rows, ODD) @ before
        warped = warp(given.float(), affine.inverses(matrices), "fade")
        return warped.round().clamp(0, 255).to(torch.uint8)

    theirs = one_by_one(A.Compose([first, second]), images)
    with pytest.MonkeyPatch.context() as patch:
        _replace(patch, A.NoOp, lambda transform: fused)
        found = difference(batched(A.Compose([A.NoOp(p=1)]), images, "faithful"), theirs)
    assert found.most > 100, found.report


def test_a_rounding_left_out_is_seen() -> None:
    """uint8 is rounded after each of two warps: rounded once at the end it is another picture."""
    compose = A.Compose([A.Rotate((-40, 40), p=1), A.Affine(scale=(0.7, 1.4), p=1)])
    images = draw_images(ODD)
    once = batched(compose, images.astype(np.float32), "float").round().clip(0, 255).astype(np.uint8)
    found = difference(once, one_by_one(compose, images))
    assert found.share_equal < 0.99, found.report
