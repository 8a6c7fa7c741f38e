"""Learning-rate schedules give Keras's rates, to the last bit or the one beside it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from conftest import DTYPES, PROFILES

from lightning_impl.keras_semantics.schedules import (
    FollowSchedule,
    build_schedule,
    schedule_from_keras_config,
)
from parity_common.command_errors import UserError
from parity_tests.keras_oracle import ask_keras

STEPS = [*range(40), *range(40, 400, 7), 1000, 123_456, 20_000_001]
BASIC = {"initial_learning_rate": 0.1, "decay_steps": 100}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {**BASIC, "decay_rate": 0.96}),
    ("ExponentialDecay", {**BASIC, "decay_rate": 0.5, "staircase": True}),
    ("ExponentialDecay", {"initial_learning_rate": 0.0007, "decay_steps": 33, "decay_rate": 0.9}),
    ("InverseTimeDecay", {**BASIC, "decay_rate": 0.3}),
    ("InverseTimeDecay", {**BASIC, "decay_rate": 0.7, "staircase": True}),
    ("PolynomialDecay", BASIC),
    ("PolynomialDecay", {**BASIC, "end_learning_rate": 0.01, "power": 0.5}),
    ("PolynomialDecay", {**BASIC, "power": 2.0, "cycle": True}),
    ("PiecewiseConstantDecay", {"boundaries": [10, 33], "values": [0.1, 0.03, 0.001]}),
    ("PiecewiseConstantDecay", {"boundaries": [100], "values": [0.1, 0.3]}),
    ("CosineDecay", BASIC),
    ("CosineDecay", {**BASIC, "alpha": 0.05}),
    ("CosineDecay", {**BASIC, "alpha": 0.3, "warmup_target": 0.4, "warmup_steps": 30}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.0, "decay_steps": 300, "warmup_target": 0.001, "warmup_steps": 7},
    ),
]


def keras_rates(profile: str, dtype: str) -> dict[str, np.ndarray]:
    return ask_keras("schedules.rates", profile, cases=json.dumps(CASES), steps=STEPS, dtype=dtype)


def units_apart(ours: np.ndarray, theirs: np.ndarray, scale: float) -> np.ndarray:
    """How many float32 units in the last place of `scale`'s size two rates are apart."""
    return np.abs(ours - theirs) / np.spacing(np.float32(scale))


@pytest.mark.keras
@pytest.mark.parametrize(("profile", "dtype"), list(itertools.product(PROFILES, DTYPES)))
def test_rates_are_keras(profile: str, dtype: str) -> None:
    theirs = keras_rates(profile, dtype)
    for number, (name, arguments) in enumerate(CASES):
        schedule = build_schedule(name, arguments)
        ours = np.array([schedule(step) for step in STEPS])
        assert np.array_equal(ours, ours.astype(np.float32)), "a rate is float32"
        apart = units_apart(ours, theirs[str(number)], float(np.abs(theirs[str(number)]).max()))
        # TensorFlow's graphs round some steps to the neighbouring float32: 8 of 95 at most, and no further,
        # whatever kernels were chosen (docs/benchmarks.md). One unit more is room for others.
        most = 0 if name == "PiecewiseConstantDecay" else 2
        worst = int(apart.argmax())
        assert apart.max() <= most, (name, arguments, STEPS[worst], ours[worst], theirs[str(number)][worst])


@pytest.mark.keras
def test_float64_rates_would_be_noticed() -> None:
    """What Keras gives is float32's rate, not the formula's."""
    theirs = keras_rates("keras3", "float64")["3"]
    exact = 0.1 / (1 + 0.3 * np.array(STEPS) / 100)
    assert np.mean(exact != theirs) > 0.9


def test_schedule_drives_an_optimizer_from_step_0() -> None:
    schedule = build_schedule("PiecewiseConstantDecay", {"boundaries": [1], "values": [0.5, 0.25]})
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=9.0)
    follow = FollowSchedule(optimizer, schedule)
    moved = []
    for _ in range(4):
        before = weight.item()
        weight.grad = torch.ones(1)
        optimizer.step()
        follow.step()
        moved.append(before - weight.item())
    assert moved == [0.5, 0.5, 0.25, 0.25]


def test_schedule_goes_on_where_it_was() -> None:
    schedule = build_schedule("CosineDecay", BASIC)

    def after(steps: int, state: dict | None = None) -> tuple[float, dict]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        follow = FollowSchedule(optimizer, schedule)
        if state is not None:
            follow.load_state_dict(state)
        for _ in range(steps):
            optimizer.step()
            follow.step()
        return optimizer.param_groups[0]["lr"], follow.state_dict()

    whole, _ = after(20)
    _, state = after(8)
    assert after(12, state)[0] == whole == schedule(20)


def test_config_of_keras_is_read() -> None:
    said = {"class_name": "CosineDecay", "config": {**BASIC, "alpha": 0.1, "name": "CosineDecay"}}
    assert schedule_from_keras_config(said) == build_schedule("CosineDecay", {**BASIC, "alpha": 0.1})


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("CosinDecay", {}, 'no schedule CosinDecay (did you mean "CosineDecay"?)'),
        ("CosineDecay", {**BASIC, "alfa": 1}, 'no argument alfa (did you mean "alpha"?)'),
        ("CosineDecay", {"decay_steps": 10}, "CosineDecay needs initial_learning_rate"),
        ("CosineDecay", {**BASIC, "decay_steps": 0}, "decay_steps is 0: give a number above 0"),
        ("PiecewiseConstantDecay", {"boundaries": [3], "values": [1]}, "1 boundaries and 1 values"),
    ],
)
def test_wrong_schedule_is_one_line(name: str, arguments: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        build_schedule(name, arguments)
    assert message in str(caught.value)
