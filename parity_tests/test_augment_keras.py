"""Augmentation against each generation's ImageDataGenerator, by both executors, with the same parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from lightning_impl.augment import BatchedCompose, KerasAffine, KerasBrightness, keras_pipeline
from lightning_impl.augment.batched import keras_operations
from lightning_impl.augment.sampling import Draws, counter_state, stream_keys
from lightning_impl.augment.transforms import CV2_BORDER, warp_by_cv2
from lightning_impl.keras_semantics.profile import KERAS3, PROFILES, TF24, Profile
from parity_common.augment_settings import AugmentSettings
from parity_tests.augment_cases import (
    CASES,
    FLAT,
    NOISE,
    PHOTO_LIKE,
    augmented_by_albumentations,
    generator_settings,
    images_of,
)
from parity_tests.keras_oracle import ask_keras

SEED, EPOCH = 11, 3
# Grey levels. Measured: 0.0027 at 64, 0.0055 at 128, 0.0062 at 45 x 67, worst pixel of 200 images, 0.0022 at
# 580 x 420 of 8; the smallest fault these must catch, a centre off by half a pixel, is off by tens.
LEVELS = {(64, 64): 0.02, (128, 128): 0.02, (45, 67): 0.02, (420, 580): 0.05}
# With brightness_range values are cut to whole levels, before and after: neighbours of a step part.
WHOLE_LEVELS, EQUAL_SHARE = 3, 0.9995


@dataclass
class Difference:
    """How far two stacks of images are apart, in grey levels."""

    worst: float
    mean: float
    share_equal: float
    place: tuple[int, ...]

    @classmethod
    def of(cls, ours: NDArray, theirs: NDArray) -> Difference:
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype == np.float32
        apart = np.abs(ours.astype(np.float64) - theirs)
        place = tuple(int(axis) for axis in np.unravel_index(apart.argmax(), apart.shape))
        return cls(float(apart.max()), float(apart.mean()), float((apart < 0.5).mean()), place)


def by_both(settings: AugmentSettings, profile: Profile, images: NDArray[np.uint8]) -> dict[str, Difference]:
    """Both executors' images against Keras's with the parameters that Albumentations drew."""
    compose = keras_pipeline(settings, profile)
    done = augmented_by_albumentations(compose, images, SEED, EPOCH)
    assert any(each["theta"] or each["tx"] for each in done.parameters)
    theirs = ask_keras(
        "augmentation.transformed",
        profile.name,
        images=images,
        parameters=json.dumps(done.parameters),
        settings=generator_settings(settings),
    )["images"]
    # A comparison with the images themselves would be as good otherwise.
    assert np.abs(theirs - images).mean() > 5
    batched = BatchedCompose(compose, images.shape[1:3], SEED, mode="float")
    on_device = batched(torch.from_numpy(images), EPOCH, np.arange(len(images))).numpy()
    return {
        "albumentations": Difference.of(done.images, theirs),
        "batched": Difference.of(on_device, theirs),
    }


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("case", "kind", "size", "count"),
    [
        ("affine", PHOTO_LIKE, (64, 64), 200),
        ("affine", NOISE, (64, 64), 200),
        ("affine", NOISE, (128, 128), 200),
        ("affine", NOISE, (45, 67), 200),
        ("affine", PHOTO_LIKE, (420, 580), 8),
        ("reflect", NOISE, (45, 67), 60),
        ("wrap", NOISE, (45, 67), 60),
        ("constant", NOISE, (45, 67), 60),
        ("pixels", NOISE, (45, 67), 60),
    ],
)
def test_affine_and_flips_match_keras(
    profile: str, case: str, kind: str, size: tuple[int, int], count: int
) -> None:
    images = images_of(kind, count, size)
    for executor, found in by_both(CASES[case], PROFILES[profile], images).items():
        assert found.worst <= LEVELS[size], (executor, found)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("size", [(64, 64), (45, 67)])
@pytest.mark.parametrize("kind", [PHOTO_LIKE, NOISE, FLAT])
def test_all_operations_match_keras(profile: str, kind: str, size: tuple[int, int]) -> None:
    for executor, found in by_both(CASES["all"], PROFILES[profile], images_of(kind, 200, size)).items():
        assert found.worst <= WHOLE_LEVELS, (executor, found)
        assert found.share_equal >= EQUAL_SHARE, (executor, found)


FAULTS = {
    "centre of the other generation": ("affine", {"affine_centre_offset": -0.5}),
    "axes swapped": ("affine", {"affine_takes_x_first": True}),
    "no stretch": ("all", {"brightness_stretches": False}),
}


@pytest.mark.keras
@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_rule_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, change = FAULTS[fault]
    monkeypatch.setitem(PROFILES, "tf2.4", replace(TF24, **change))
    for found in by_both(CASES[case], PROFILES["tf2.4"], images_of(PHOTO_LIKE, 30, (64, 64))).values():
        assert found.worst > 10 * WHOLE_LEVELS
        assert found.share_equal < EQUAL_SHARE


@pytest.mark.keras
def test_a_hair_beside_whole_levels_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why warps are rounded to parts of a level: else plain white becomes 254 by the next operation."""
    monkeypatch.setattr(keras_operations, "ROUNDS_TO_4096THS", 0.0)
    found = by_both(CASES["all"], TF24, images_of(FLAT, 100, (64, 64)))
    assert found["albumentations"].share_equal >= EQUAL_SHARE
    assert found["batched"].share_equal < EQUAL_SHARE


@pytest.mark.keras
def test_swapped_centre_shows_on_images_that_are_not_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras 3's quirk: on a square image a transposed centre could not be told from the right one."""
    settings, images = CASES["affine"], images_of(PHOTO_LIKE, 30, (45, 67))
    whole = keras_operations.keras_affine_matrices

    def centre_in_order(*given):
        # The centre as (x, y), which is what a reader of Keras's code would expect.
        drawn, (height, width), profile = given
        return whole(drawn, (width, height), profile)

    monkeypatch.setattr(keras_operations, "keras_affine_matrices", centre_in_order)
    found = by_both(settings, KERAS3, images)
    assert found["albumentations"].worst <= LEVELS[45, 67]
    assert found["batched"].worst > 10


@pytest.mark.keras
def test_stock_affine_is_no_substitute() -> None:
    """Why there is a transform of our own: A.Affine moves by whole pixels only."""
    image = images_of(PHOTO_LIKE, 1, (64, 64))[0].astype(np.float32)
    theirs = ask_keras(
        "augmentation.transformed",
        "tf2.4",
        images=image[None],
        parameters=json.dumps([{"tx": 0.5, "ty": 2.5}]),
        settings="{}",
    )["images"][0]
    stock = A.Affine(translate_percent={"x": (-2.5 / 64,) * 2, "y": (-0.5 / 64,) * 2}, border_mode=1, p=1)
    assert np.abs(stock(image=image)["image"] - theirs).max() > 1
    ours = KerasAffine().apply(image, theta=0, tx=0.5, ty=2.5, shear=0, zx=1, zy=1)
    assert np.abs(ours - theirs).max() <= LEVELS[64, 64]


DRAWS = 10_000
# A draw that is right falls below this once in a thousand; the draws are seeded.
LEAST_P = 1e-3


def our_draws(settings: AugmentSettings, size: tuple[int, int]) -> dict[str, NDArray[np.float64]]:
    """Every parameter, drawn for a batch of 10,000."""
    draws = Draws(stream_keys(SEED, 0, np.arange(DRAWS)))
    rows = draws.all_rows
    drawn: dict[str, NDArray] = {}
    for transform in keras_pipeline(settings, TF24).transforms:
        if isinstance(transform, KerasAffine):
            drawn |= keras_operations.Affine(transform).draw(draws, rows, size)._asdict()
        elif isinstance(transform, KerasBrightness):
            drawn["brightness"] = draws.uniform(*transform.brightness_range, rows)
        else:
            limit = transform.channel_shift_range
            drawn["channel_shift_intensity"] = draws.uniform(-limit, limit, rows)
    return drawn


@pytest.mark.keras
@pytest.mark.parametrize("case", ["all", "pixels"])
@pytest.mark.parametrize("profile", PROFILES)
def test_distributions_match_keras(profile: str, case: str) -> None:
    settings = CASES[case]
    theirs = ask_keras(
        "augmentation.drawn",
        profile,
        settings=generator_settings(settings),
        count=DRAWS,
        height=45,
        width=67,
    )
    ours = our_draws(settings, (45, 67))
    varying = {name for name, values in theirs.items() if np.unique(values[~np.isnan(values)]).size > 1}
    # What does not vary has no distribution, and what varies is drawn on both sides.
    assert varying == {name for name, values in ours.items() if np.unique(values).size > 1}
    for name in varying:
        assert ks_2samp(ours[name], theirs[name]).pvalue > LEAST_P, name
    # Every pair of parameters is independent, zx and zy above all.
    for one in varying:
        for other in varying - {one}:
            assert abs(np.corrcoef(ours[one], ours[other])[0, 1]) < 0.05, (one, other)


def test_distributions_of_other_settings_are_caught() -> None:
    ours = our_draws(CASES["all"], (45, 67))
    narrower = replace(CASES["all"], rotation_range=36.0, zoom_range=(0.75, 1.4), brightness_range=(0.4, 1.6))
    theirs = our_draws(narrower, (45, 67))
    for name in ("theta", "zx", "zy", "brightness"):
        assert ks_2samp(ours[name], theirs[name]).pvalue < LEAST_P, name


@pytest.mark.parametrize("case", ["all", "pixels"])
def test_both_executors_draw_the_same(case: str) -> None:
    """Parameter for parameter, to the last bit."""
    affine = keras_pipeline(CASES[case], TF24).transforms[0]
    draws = Draws(stream_keys(SEED, EPOCH, np.arange(500)))
    batch = keras_operations.Affine(affine).draw(draws, draws.all_rows, (45, 67))
    for index in range(500):
        affine.set_random_state(*counter_state(SEED, EPOCH, index))
        one = affine.get_params_dependent_on_data({"shape": (45, 67, 3)}, {})
        assert list(one.values()) == [values[index] for values in batch]
        assert affine.py_random.stream.drawn == draws.drawn[index]


def test_pipeline_is_carried_over_by_albumentations() -> None:
    compose = keras_pipeline(CASES["all"], KERAS3)
    again = A.from_dict(json.loads(json.dumps(A.to_dict(compose))))
    images = images_of(PHOTO_LIKE, 4, (45, 67))
    ours, theirs = (augmented_by_albumentations(each, images, 1, 0) for each in (compose, again))
    assert np.array_equal(ours.images, theirs.images)
    assert [type(each) for each in again.transforms] == [type(each) for each in compose.transforms]


def test_nothing_random_is_an_empty_pipeline() -> None:
    assert keras_pipeline(AugmentSettings(), TF24).transforms == []
    assert not AugmentSettings().is_random
    assert all(settings.is_random for settings in CASES.values())


@pytest.mark.parametrize("p", [1.0, 0.5])
def test_levels_left_raised_for_a_stretch_are_the_same(p: float) -> None:
    """A batch saves a pass where brightness takes the lowest level away: to the bit what it saves it on."""
    images = torch.from_numpy(images_of(PHOTO_LIKE, 40, (45, 67)))
    affine = KerasAffine(rotation_range=20, horizontal_flip=True, p=p)
    brightness = KerasBrightness((0.7, 1.3))
    fused = BatchedCompose(A.Compose([affine, brightness]), (45, 67), SEED, mode="float")
    apart = BatchedCompose(A.Compose([affine, A.NoOp(p=1), brightness]), (45, 67), SEED, mode="float")
    kept_raised = [
        [
            step.operation.stays_raised
            for step in each.pipeline.steps
            if hasattr(step.operation, "stays_raised")
        ]
        for each in (fused, apart)
    ]
    assert kept_raised == [[True], [False]]
    # NoOp draws nothing where p is 1.
    ours, theirs = (each(images, EPOCH, np.arange(40)) for each in (fused, apart))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_what_is_given_stays_as_it_was(profile: str, dtype: type) -> None:
    """Also where memory is shared with what is given, as a memory map's is."""
    image = images_of(NOISE, 1, (45, 67))[0].astype(dtype)
    given = image.view(np.memmap)
    KerasAffine(rotation_range=20, profile=profile).apply(given, 9.0, 1.0, 2.0, 0.0, 1.1, 0.9, True, True)
    KerasBrightness(profile=profile).apply(given, 1.3)
    assert np.array_equal(given, images_of(NOISE, 1, (45, 67))[0])


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flipped_warp_is_the_flip_of_the_warp(axis: int) -> None:
    image = images_of(PHOTO_LIKE, 1, (45, 67))[0].astype(np.float32)
    affine, drawn = KerasAffine(), (9.0, 1.0, 2.0, 0.0, 1.1, 0.9)
    flipped = affine.apply(image, *drawn, axis == 1, axis == 0)
    expected = np.flip(affine.apply(image, *drawn), axis)
    assert np.abs(flipped - expected).max() <= LEVELS[45, 67]
    assert np.abs(flipped - np.flip(expected, axis)).max() > 10


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("border", CV2_BORDER.values())
def test_a_fourth_channel_on_the_way_changes_no_bit(border: int, dtype: type) -> None:
    image = images_of(NOISE, 1, (45, 67))[0].astype(dtype)
    # Rows first; OpenCV's are columns first.
    matrix = np.array([[1.02, 0.12, -4.1], [-0.1, 0.95, 3.2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    columns_first = np.array([[0.95, -0.1, 3.2], [0.12, 1.02, -4.1]])
    plain = cv2.warpAffine(image, columns_first, (67, 45), flags=flags, borderMode=border)
    assert np.array_equal(warp_by_cv2(image, matrix, border), plain)
    assert not np.array_equal(warp_by_cv2(image, columns_first, border), plain)
