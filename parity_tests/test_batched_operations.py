"""Each transform on a batch against Albumentations' own code on one image after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from batched_cases import (
    CASES,
    COUNT,
    EPOCH,
    ODD,
    SEED,
    SQUARE,
    A,
    batched,
    compared,
    difference,
    draw_images,
    indices,
)
from numpy.typing import NDArray

from lightning_impl.augment import BatchedCompose
from lightning_impl.augment.batched.registry import BUILDERS

SIZES = {"odd": ODD, "square": SQUARE}
ON_FLOAT = [name for name, case in CASES.items() if case.float_limit is not None]


def _fits(name: str, size: str) -> bool:
    return name != "quarter-turns" or size == "square"


def _runs(names: list[str]) -> list[tuple[str, str]]:
    return [(name, size) for name in names for size in SIZES if _fits(name, size)]


@pytest.mark.parametrize(("name", "size"), _runs(list(CASES)))
def test_uint8_matches_albumentations(name: str, size: str) -> None:
    case = CASES[name]
    found = compared(A.Compose([case.make()]), SIZES[size], "faithful")
    assert found.most <= (1 if case.is_warp else 0), found.report
    assert found.share_equal >= (0.999 if case.is_warp else 1), found.report


@pytest.mark.parametrize(("name", "size"), _runs(ON_FLOAT))
def test_float_matches_albumentations(name: str, size: str) -> None:
    case = CASES[name]
    found = compared(A.Compose([case.make()]), SIZES[size], "float")
    assert case.float_limit is not None
    assert found.most <= case.float_limit, found.report


GREY_TAKING = (
    "affine",
    "resized-crop",
    "quarter-turns",
    "jitter",
    "brightness-of-mean",
    "normalize",
    "gamma",
)


@pytest.mark.parametrize("name", GREY_TAKING)
def test_images_of_one_channel_match_albumentations(name: str) -> None:
    found = compared(A.Compose([CASES[name].make()]), SQUARE, "faithful", channels=1)
    assert found.most <= CASES[name].is_warp, found.report


@pytest.mark.parametrize("name", ["affine", "resized-crop", "dropout-by-pixels"])
def test_normalised_images_match_albumentations(name: str) -> None:
    found = compared(A.Compose([A.Normalize(), CASES[name].make()]), ODD, "faithful")
    # Of numbers up to 2.7 in place of 255.
    assert found.most <= (CASES[name].float_limit or 0) / 50, found.report


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, "faithful") for name in CASES] + [("affine", "float"), ("resized-crop", "float")],
)
def test_batch_size_changes_nothing(name: str, mode: str) -> None:
    images = draw_images(SQUARE, np.uint8 if mode == "faithful" else np.float32)
    given = images.copy()
    compose = A.Compose([CASES[name].make()])
    whole = batched(compose, images, mode)
    for size in (1, 7):
        pieces = batched(compose, images, mode, size)
        assert np.array_equal(whole, pieces), difference(whole, pieces).report
    assert np.array_equal(images, given), "the pipeline wrote to what it was given"


def test_every_builder_is_compared() -> None:
    assert {type(case.make()) for case in CASES.values()} == set(BUILDERS)


@pytest.mark.parametrize("name", list(CASES))
def test_all_stays_on_the_images_device(name: str) -> None:
    """On the device `meta` there are no numbers: to read one there, or to mix in a CPU tensor, raises."""
    pipeline = BatchedCompose(A.Compose([CASES[name].make()]), SQUARE, SEED)
    here = pipeline(torch.from_numpy(draw_images(SQUARE)), EPOCH, np.arange(COUNT))
    there = pipeline(
        torch.empty(COUNT, *SQUARE, 3, dtype=torch.uint8, device="meta"), EPOCH, np.arange(COUNT)
    )
    assert (there.device.type, there.shape, there.dtype) == ("meta", here.shape, here.dtype)


def test_epochs_and_seeds_draw_anew() -> None:
    images = torch.from_numpy(draw_images(SQUARE))
    compose = A.Compose([A.Affine(rotate=(-40, 40), p=1)])
    places = indices(draw_images(SQUARE))
    first = BatchedCompose(compose, SQUARE, SEED)(images, EPOCH, places)
    assert not torch.equal(first, BatchedCompose(compose, SQUARE, SEED)(images, EPOCH + 1, places))
    assert not torch.equal(first, BatchedCompose(compose, SQUARE, SEED + 1)(images, EPOCH, places))
    assert torch.equal(first, BatchedCompose(compose, SQUARE, SEED)(images, EPOCH, places))


@pytest.mark.parametrize(
    ("ours", "theirs", "fault"),
    [
        pytest.param(np.ones((2, 3)), np.ones((3, 2)), "shape", id="shape"),
        pytest.param(np.ones((2, 3), np.float32), np.ones((2, 3)), "dtype", id="dtype"),
        pytest.param(np.zeros((0, 3)), np.zeros((0, 3)), "no values", id="empty"),
        pytest.param(np.array([1, np.nan]), np.array([1, np.nan]), "not finite", id="nan-on-both-sides"),
        pytest.param(np.ones((2, 3)), np.ones((2, 3)), "every image is the same", id="constant"),
    ],
)
def test_comparison_refuses(ours: NDArray, theirs: NDArray, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        difference(ours, theirs)


def test_comparison_names_the_worst_element() -> None:
    theirs = np.arange(6, dtype=np.uint8).reshape(2, 3)
    ours = theirs.copy()
    ours[1, 0] += 9
    found = difference(ours, theirs)
    assert (found.most, round(found.share_equal, 3)) == (9, 0.833)
    assert found.report == "max 9 at (1, 0): 12, not 3; 83.3333% equal"
