"""Activations of keras_semantics against Keras itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lightning_impl.keras_semantics.activations import GELU, HardSigmoid, LeakyReLU
from lightning_impl.keras_semantics.profile import PROFILES, Profile
from parity_tests.keras_oracle import ask_keras

# Of the largest value, 8. float64: erf and tanh of two C libraries.
# Ten times what was measured, one or two units in the last place: other processors' exp and tanh.
TOLERANCES = {"float64": 4e-15, "float32": 2e-6}
NUMBERS = np.concatenate([np.linspace(-8, 8, 1601), [0.0, -0.0, 2.5, -2.5, 3.0, -3.0]])


def ours(profile: Profile) -> dict[str, nn.Module]:
    return {
        "hard_sigmoid": HardSigmoid(profile),
        "gelu": GELU(),
        "gelu_approximate": GELU(approximate=True),
        "leaky_relu": LeakyReLU(),
    }


TORCHS = {
    "hard_sigmoid": nn.Hardsigmoid(),
    "gelu": nn.GELU(),
    "gelu_approximate": nn.GELU("tanh"),
    "leaky_relu": nn.LeakyReLU(),
}


def residuals(modules: dict[str, nn.Module], profile: str, dtype: str) -> dict[str, float]:
    numbers = NUMBERS.astype(dtype)
    theirs = ask_keras("activations.values", profile, numbers=numbers)
    assert theirs.keys() == modules.keys()
    given = torch.from_numpy(numbers)
    return {
        name: float(np.abs(module(given).numpy() - theirs[name]).max()) / 8
        for name, module in modules.items()
    }


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_activations_match_keras(profile: str, dtype: str) -> None:
    for name, residual in residuals(ours(PROFILES[profile]), profile, dtype).items():
        assert residual <= TOLERANCES[dtype], name


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_d14_torchs_own_do_not_match(profile: str) -> None:
    found = residuals(TORCHS, profile, "float64")
    parted = {name for name, residual in found.items() if residual > TOLERANCES["float64"]}
    # Keras 3 has torch's hard_sigmoid; gelu's float32 constants show in float64 only.
    assert parted == set(TORCHS) - ({"hard_sigmoid"} if profile == "keras3" else set())
    assert found["leaky_relu"] > 0.1
    (other,) = set(PROFILES) - {profile}
    assert residuals(ours(PROFILES[other]), profile, "float64")["hard_sigmoid"] > 0.005
