"""Standardising against ImageDataGenerator's `fit` and `standardize`, in both generations."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from lightning_impl.augment.standardise import Standardise, standardising_of
from lightning_impl.keras_semantics.profile import PROFILES
from parity_common.augment_settings import AugmentSettings
from parity_tests.augment_cases import NOISE, PHOTO_LIKE, images_of
from parity_tests.keras_oracle import ask_keras

SIZE = (9, 7)
# Relative to the largest value; Keras's sums are float32.
TOLERANCE = 2e-5
CASES = {
    "rescale": AugmentSettings(),
    "no rescale": AugmentSettings(rescale=None),
    "samplewise centre": AugmentSettings(samplewise_center=True),
    "samplewise deviation": AugmentSettings(samplewise_std_normalization=True),
    "featurewise centre": AugmentSettings(featurewise_center=True),
    "featurewise deviation": AugmentSettings(featurewise_std_normalization=True, rescale=1 / 127.5),
    "all of them": AugmentSettings(
        samplewise_std_normalization=True, featurewise_std_normalization=True, rescale=None
    ),
    "whitening": AugmentSettings(zca_whitening=True, zca_epsilon=1e-3),
}


def standardised(settings: AugmentSettings, profile: str) -> tuple[np.ndarray, np.ndarray]:
    # More images than values an image, so that the covariance is not singular.
    training, images = images_of(NOISE, 260, SIZE), images_of(PHOTO_LIKE, 12, SIZE, seed=4)
    arguments = asdict(settings) | {"zoom_range": [1, 1]}
    theirs = ask_keras(
        "augmentation.standardised",
        profile,
        images=images,
        training=training,
        settings=json.dumps(arguments),
    )["images"]
    module = Standardise(settings, PROFILES[profile], SIZE)
    module.fit(torch.from_numpy(training).split(64))
    given = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return module(given).permute(0, 2, 3, 1).numpy(), theirs


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", CASES)
def test_standardise_matches_keras(case: str, profile: str) -> None:
    ours, theirs = standardised(CASES[case], profile)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() <= TOLERANCE
    assert theirs.std() > 1e-3


@pytest.mark.keras
def test_whitening_of_the_other_generation_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = PROFILES["keras3"]
    monkeypatch.setitem(PROFILES, "keras3", replace(rules, whitening_is_of_covariance=True))
    ours, theirs = standardised(CASES["whitening"], "keras3")
    assert np.abs(ours - theirs).max() / np.abs(theirs).max() > 100 * TOLERANCE


def test_a_checkpoint_holds_the_figures() -> None:
    settings = CASES["featurewise deviation"]
    fitted, fresh = (Standardise(settings, PROFILES["tf2.4"], SIZE) for _ in range(2))
    fitted.fit([torch.from_numpy(images_of(NOISE, 20, SIZE))])
    fresh.load_state_dict(fitted.state_dict())
    images = torch.rand(2, 3, *SIZE) * 255
    assert torch.equal(fitted(images.clone()), fresh(images.clone()))
    assert set(standardising_of(settings)) == set(standardising_of(AugmentSettings()))
