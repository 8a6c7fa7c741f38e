"""Initialisers draw from Keras's distributions, by Keras's fans; torch's own are shown to fail."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PROFILES
from scipy import stats
from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import INITIALIZERS, initialise_as
from parity_common.command_errors import UserError
from parity_tests.keras_oracle import ask_keras

KERNEL, DENSE, VECTOR = (3, 5, 7, 24), (40, 60), (500,)
LEAST_PROBABILITY = 1e-4
Case = tuple[str, dict[str, Any], tuple[int, ...]]
CASES: list[Case] = [
    *(
        (name, {}, shape)
        for name in ("GlorotNormal", "GlorotUniform", "HeNormal")
        for shape in (KERNEL, DENSE)
    ),
    *((name, {}, KERNEL) for name in ("HeUniform", "LecunNormal", "LecunUniform")),
    ("HeNormal", {}, VECTOR),
    ("GlorotUniform", {}, VECTOR),
    ("RandomNormal", {}, KERNEL),
    ("RandomNormal", {"mean": 0.5, "stddev": 0.2}, DENSE),
    ("RandomUniform", {}, KERNEL),
    ("RandomUniform", {"minval": -1.0, "maxval": 0.25}, DENSE),
    ("TruncatedNormal", {}, KERNEL),
    ("TruncatedNormal", {"mean": 0.5, "stddev": 0.2}, DENSE),
    ("VarianceScaling", {}, KERNEL),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"}, KERNEL),
    ("VarianceScaling", {"scale": 0.3, "mode": "fan_avg", "distribution": "uniform"}, DENSE),
    ("VarianceScaling", {"mode": "fan_out", "distribution": "normal"}, DENSE),
]
ORTHOGONAL: list[Case] = [("Orthogonal", {"gain": 1.5}, shape) for shape in (KERNEL, DENSE, (60, 40))]
EXACT: list[Case] = [
    ("Zeros", {}, KERNEL),
    ("Ones", {}, VECTOR),
    ("Constant", {"value": 0.3}, KERNEL),
    ("Identity", {}, DENSE),
    ("Identity", {"gain": 2.0}, (40, 40)),
]


def torch_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) < 2 else (shape[-1], shape[-2], *shape[:-2])


def keras_draws(cases: list[Case], profile: str, count: int = 1) -> list[np.ndarray]:
    answer = ask_keras("initializers.draws", profile, cases=json.dumps(cases), count=count)
    return [answer[str(number)] for number in range(len(cases))]


def our_draws(case: Case, count: int, **more: Any) -> np.ndarray:
    name, arguments, shape = case
    torch.manual_seed(7)
    draws = [initialise_as(torch.empty(torch_shape(shape)), name, **arguments, **more) for _ in range(count)]
    return torch.stack(draws).numpy()


def probability(ours: np.ndarray, theirs: np.ndarray) -> float:
    """That both come from one distribution, by Kolmogorov and Smirnov."""
    return float(stats.ks_2samp(ours.ravel(), theirs.ravel()).pvalue)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_distributions_are_keras(profile: str) -> None:
    for case, theirs in zip(CASES, keras_draws(CASES, profile, count=40), strict=True):
        ours = our_draws(case, 40)
        assert ours.size == theirs.size >= 20_000
        assert probability(ours, theirs) > LEAST_PROBABILITY, case
        # The cut of a distribution shows at its ends.
        if "untruncated_normal" not in case[1].values() and case[0] != "RandomNormal":
            assert np.ptp(ours) == pytest.approx(np.ptp(theirs), rel=0.02), case


def test_every_initialiser_is_compared() -> None:
    assert {name for name, _, _ in (*CASES, *ORTHOGONAL, *EXACT)} == set(INITIALIZERS)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_exact_ones_are_keras(profile: str) -> None:
    for case, (theirs,) in zip(EXACT, keras_draws(EXACT, profile), strict=True):
        (ours,) = our_draws(case, 1)
        back = ours if ours.ndim < 2 else np.moveaxis(ours, (0, 1), (-1, -2))
        assert np.array_equal(back, theirs), case


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_orthogonal_is_keras(profile: str) -> None:
    for case, (theirs,) in zip(ORTHOGONAL, keras_draws(ORTHOGONAL, profile), strict=True):
        (ours,) = our_draws(case, 1)
        flat = theirs.reshape(-1, theirs.shape[-1]).T
        products = [
            matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
            for matrix in (flat, ours.reshape(ours.shape[0], -1))
        ]
        for product in products:
            assert np.allclose(product, 1.5**2 * np.eye(len(product)), atol=1e-5), case


@pytest.mark.keras
@pytest.mark.parametrize(
    ("case", "builtin"),
    [
        (("HeNormal", {}, KERNEL), lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu")),
        (("GlorotNormal", {}, DENSE), nn.init.xavier_normal_),
        (("GlorotUniform", {}, KERNEL), lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5))),
        (("TruncatedNormal", {}, KERNEL), lambda weight: nn.init.trunc_normal_(weight, std=0.05)),
    ],
)
def test_torchs_own_fail(case: Case, builtin: Callable[[Tensor], Tensor]) -> None:
    (theirs,) = keras_draws([case], "keras3", count=40)
    torch.manual_seed(7)
    ours = torch.stack([builtin(torch.empty(torch_shape(case[2]))) for _ in range(40)]).numpy()
    assert probability(ours, theirs) < LEAST_PROBABILITY


@pytest.mark.keras
def test_depthwise_fans_are_keras() -> None:
    """A depthwise kernel's fans in Keras are not those of torch's weight."""
    channels, multiplier = 40, 2
    case: Case = ("GlorotUniform", {}, (3, 3, channels, multiplier))
    (theirs,) = keras_draws([case], "keras3", count=40)
    as_torch_has_it: Case = ("GlorotUniform", {}, (3, 3, 1, channels * multiplier))
    fans = (channels * 9, multiplier * 9)
    assert probability(our_draws(as_torch_has_it, 40, fans=fans), theirs) > LEAST_PROBABILITY
    assert np.ptp(our_draws(as_torch_has_it, 40)) < 0.8 * np.ptp(theirs)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("HeNorml", {}, 'no initialiser HeNorml (did you mean "HeNormal"?)'),
        ("he_normal", {"scale": 1}, "HeNormal has no argument scale"),
        ("RandomNormal", {"std": 1}, 'no argument std (did you mean "stddev"?)'),
        ("VarianceScaling", {"mode": "fan"}, 'mode is "fan": one of fan_in, fan_out, fan_avg'),
        ("VarianceScaling", {"scale": 0}, "scale is 0: give a number above 0"),
        ("VarianceScaling", {"distribution": "cauchy"}, 'distribution is "cauchy": one of'),
        ("Identity", {}, "Identity needs a weight of two axes, this one has 4"),
    ],
)
def test_wrong_initialiser_is_one_line(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        initialise_as(torch.empty(torch_shape(KERNEL)), name, **arguments)
    assert message in str(caught.value)
