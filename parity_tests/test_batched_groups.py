"""Sequences and groups of transforms, and the numbers that each transform draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from batched_cases import EPOCH, ODD, SEED, SQUARE, A, batched, compared, draw_images, indices, one_by_one

from lightning_impl.augment.batched.affine import draw_affine, draw_rotate
from lightning_impl.augment.batched.dropout import CoarseDropout
from lightning_impl.augment.batched.resized_crop import ResizedCrop
from lightning_impl.augment.sampling import Draws, counter_state, stream_keys


def _affine(**arguments: Any) -> A.Affine:
    return A.Affine(scale=(0.8, 1.2), rotate=(-30, 30), shear=(-8, 8), **arguments)


def test_two_warps_match_albumentations_on_uint8() -> None:
    """A level that the first warp rounds the other way moves at most its neighbours by one level each."""
    found = compared(A.Compose([_affine(p=1), A.Rotate((-20, 40), p=1)]), ODD, "faithful")
    assert found.most <= 1, found.report
    assert found.share_equal >= 0.999, found.report


def test_two_warps_match_albumentations_on_float() -> None:
    found = compared(A.Compose([_affine(p=1), A.Rotate((-20, 40), p=1)]), ODD, "float")
    assert found.most <= 0.04, found.report


def test_crop_after_tone_matches_albumentations() -> None:
    steps = [A.ColorJitter(p=0.8), A.RandomGamma(p=0.5), A.RandomResizedCrop((33, 28)), A.HorizontalFlip()]
    found = compared(A.Compose(steps), ODD, "faithful")
    assert found.most == 0, found.report


def _nested() -> A.Compose:
    tone = A.OneOf(
        [A.RandomGamma((50, 200), p=0.2), A.RandomBrightnessContrast(p=0.7), A.ColorJitter(p=0.4), A.NoOp()],
        p=0.9,
    )
    some = A.SomeOf(
        [A.HorizontalFlip(p=0.7), A.CoarseDropout(p=0.6), A.ToGray(p=0.3), A.RandomRotate90(p=0.5)],
        n=3,
        p=0.8,
    )
    again = A.SomeOf([A.VerticalFlip(p=0.5), A.RandomGamma((80, 120), p=1)], n=3, replace=True, p=0.9)
    in_order = A.Sequential([A.Transpose(p=0.5), A.OneOf([some, again, A.Compose([A.NoOp()], p=0.3)])], p=0.7)
    return A.Compose([tone, in_order, A.OneOf([in_order, tone, A.HorizontalFlip(p=0.1)], p=0.6)], p=0.95)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_nested_groups_match_albumentations(batch_size: int) -> None:
    images = draw_images(SQUARE)
    theirs = one_by_one(_nested(), images)
    assert np.array_equal(batched(_nested(), images, "faithful", batch_size), theirs)
    assert len({image.tobytes() for image in theirs - images}) > 0.8 * len(images)


def test_nested_groups_on_float_match_albumentations() -> None:
    group = A.OneOf(
        [A.CoarseDropout(p=0.3), A.ToGray(p=0.3), A.SomeOf([A.Transpose(), A.NoOp()], n=1)], p=0.8
    )
    found = compared(A.Compose([group, A.HorizontalFlip(), A.Normalize()]), SQUARE, "float")
    assert found.most == 0, found.report


def _applied(transform: Any, name: str) -> tuple[list[Any], np.ndarray]:
    """A parameter as Albumentations saves it, an image each, and how many numbers it had drawn by then."""
    compose = A.Compose([transform], save_applied_params=True)
    image = draw_images(ODD)[0]
    saved, drawn = [], []
    for index in indices(draw_images(ODD)):
        numpy_side, python_side = counter_state(SEED, EPOCH, int(index))
        compose.set_random_state(numpy_side, python_side)  # type: ignore[arg-type]
        saved.append(compose(image=image)["applied_transforms"][0][1][name])
        drawn.append(python_side.stream.drawn)
    return saved, np.array(drawn)


def _draws() -> Draws:
    draws = Draws(stream_keys(SEED, EPOCH, indices(draw_images(ODD))))
    # Compose's own number, for its p.
    draws.random(draws.all_rows)
    return draws


@pytest.mark.parametrize(
    ("transform", "draw"),
    [
        pytest.param(_affine(translate_percent=0.2, p=1), draw_affine, id="affine"),
        pytest.param(_affine(translate_px={"x": (-9, 3)}, p=1), draw_affine, id="affine-by-pixels"),
        pytest.param(A.Affine(scale=(0.4, 1.1), balanced_scale=True, p=1), draw_affine, id="balanced"),
        pytest.param(A.Rotate(p=1), draw_rotate, id="rotate"),
    ],
)
def test_matrices_are_albumentations(transform: Any, draw: Any) -> None:
    theirs, drawn = _applied(transform, "matrix")
    draws = _draws()
    ours = draw(transform, draws, draws.all_rows, ODD)
    np.testing.assert_allclose(ours, np.stack(theirs), rtol=0, atol=1e-12)
    assert np.array_equal(draws.drawn, drawn)


@pytest.mark.parametrize("ratio", [(0.75, 4 / 3), (1.2, 3.0), (0.2, 0.3), (4.0, 5.0)])
def test_windows_are_albumentations(ratio: tuple[float, float]) -> None:
    transform = A.RandomResizedCrop((8, 8), scale=(0.1, 1.0), ratio=ratio)
    theirs, drawn = _applied(transform, "crop_coords")
    draws = _draws()
    top, left, height, width = ResizedCrop(transform).draw(draws, draws.all_rows, ODD).T
    assert np.array_equal(np.stack([left, top, left + width, top + height], axis=1), np.array(theirs))
    assert np.array_equal(draws.drawn, drawn)
    assert len(set(drawn)) > 1, "each image fits at the same attempt: nothing is rejected"


@pytest.mark.parametrize(("heights", "widths"), [((0.1, 0.4), (0.2, 0.9)), ((2, 80), (1, 9))])
def test_holes_are_albumentations(heights: tuple[float, float], widths: tuple[float, float]) -> None:
    transform = A.CoarseDropout((1, 6), heights, widths, p=1)
    theirs, drawn = _applied(transform, "holes")
    draws = _draws()
    (top, bottom), (left, right) = CoarseDropout(transform, np.zeros(())).draw(draws, draws.all_rows, ODD)
    ours = np.stack([left, top, right, bottom], axis=2)
    for image, holes in enumerate(theirs):
        assert np.array_equal(ours[image, : len(holes)], holes)
        assert np.array_equal(top[image, len(holes) :], bottom[image, len(holes) :])
    assert np.array_equal(draws.drawn, drawn)
    assert {len(holes) for holes in theirs} == {1, 2, 3, 4, 5, 6}
