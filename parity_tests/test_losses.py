"""Losses, regularisers and constraints against Keras: values and gradients, clipped or of logits."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from conftest import DTYPES, PROFILES

from lightning_impl.keras_semantics.constraints import constraint_from_keras_config
from lightning_impl.keras_semantics.losses import ALIASES, loss_from_keras_config
from lightning_impl.keras_semantics.profile import PROFILES as PROFILE_OF
from lightning_impl.keras_semantics.regularizers import regularizer_from_keras_config
from parity_common.command_errors import UserError
from parity_tests.keras_oracle import ask_keras

EXAMPLES, CLASSES = 12, 6
TOLERANCE = {"float64": 1e-14, "float32": 4e-6}
NAMES = {
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "BinaryCrossentropy": "binary_crossentropy",
    "MeanSquaredError": "mean_squared_error",
}
Case = dict[str, Any]


def loss_cases() -> list[Case]:
    cases = []
    for kind, ends_in in itertools.product(NAMES, (None, "softmax", "sigmoid")):
        targets = ("labels",) if kind.startswith("Sparse") else ("one-hot",)
        if kind == "BinaryCrossentropy":
            targets = ("one-hot", "several")
        variants: list[dict[str, Any]] = [{}]
        if kind in ("CategoricalCrossentropy", "BinaryCrossentropy"):
            variants.append({"label_smoothing": 0.2})
        if "Crossentropy" in kind and ends_in is None:
            variants += [{**each, "from_logits": True} for each in variants]
        for arguments, target in itertools.product(variants, targets):
            case = {"class": kind, "arguments": arguments, "ends_in": ends_in, "targets": target}
            cases.append({**case, "weighted": True})
            # Weights come after the loss of each example, whatever it is.
            if not arguments:
                cases.append({**case, "weighted": False})
    return cases


CASES = loss_cases()


def given() -> dict[str, np.ndarray]:
    """Outputs that serve as logits and, where nothing comes after them, as probabilities, some clipped."""
    random = np.random.RandomState(3)
    outputs = random.uniform(0.01, 0.99, (EXAMPLES, CLASSES))
    # Beyond what is clipped on both sides.
    outputs[0], outputs[1, 2], outputs[2, :2] = 1e-9, 1.0, (0.0, 1 - 1e-9)
    return {
        "outputs": outputs,
        "labels": np.arange(EXAMPLES) % CLASSES,
        "weights": random.uniform(0.2, 2, EXAMPLES),
        "several": (random.rand(EXAMPLES, CLASSES) < 0.4).astype(np.float64),
    }


def ours_of(case: Case, profile: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = given()
    kind = {"float32": torch.float32, "float64": torch.float64}[dtype]
    outputs = torch.tensor(arrays["outputs"], dtype=kind, requires_grad=True)
    labels = torch.from_numpy(arrays["several" if case["targets"] == "several" else "labels"])
    weights = torch.tensor(arrays["weights"], dtype=kind) if case["weighted"] else None
    loss = loss_from_keras_config(
        NAMES[case["class"]], case["arguments"], case["ends_in"], PROFILE_OF[profile]
    )
    value = loss(outputs, labels, weights)
    value.backward()
    assert outputs.grad is not None
    return value.detach().numpy(), outputs.grad.numpy()


@pytest.mark.keras
@pytest.mark.parametrize(("profile", "dtype"), list(itertools.product(PROFILES, DTYPES)))
def test_losses_are_keras(profile: str, dtype: str) -> None:
    theirs = ask_keras("losses.losses", profile, cases=json.dumps(CASES), dtype=dtype, **given())
    for number, case in enumerate(CASES):
        for ours, name in zip(ours_of(case, profile, dtype), ("loss", "gradient"), strict=True):
            keras = theirs[f"{number}|{name}"]
            residual = np.abs(ours - keras).max() / np.abs(keras).max()
            assert residual <= TOLERANCE[dtype], (case, name, residual)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_other_generations_binary_loss_is_noticed(profile: str) -> None:
    """The one rule in which the generations differ shows in these cases."""
    (other,) = set(PROFILES) - {profile}
    theirs = ask_keras("losses.losses", profile, cases=json.dumps(CASES), dtype="float64", **given())
    noticed = [
        case["class"]
        for number, case in enumerate(CASES)
        if abs(ours_of(case, other, "float64")[0] / theirs[f"{number}|loss"] - 1) > 1e-12
    ]
    assert set(noticed) == {"BinaryCrossentropy"}


RULES: list[tuple[str, str, dict[str, Any]]] = [
    ("regularizers", "L1", {"l1": 0.013}),
    ("regularizers", "L2", {"l2": 0.007}),
    ("regularizers", "L1L2", {"l1": 0.3, "l2": 0.01}),
    ("constraints", "MaxNorm", {"max_value": 0.8}),
    ("constraints", "MaxNorm", {"max_value": 1.1, "axis": [0, 1, 2]}),
    ("constraints", "UnitNorm", {"axis": [0, 1, 2]}),
    ("constraints", "MinMaxNorm", {"min_value": 0.5, "max_value": 1.5, "rate": 0.7}),
    ("constraints", "NonNeg", {}),
]


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_regularisers_and_constraints_are_keras(profile: str) -> None:
    weight = np.random.RandomState(4).normal(0, 0.5, (3, 3, 4, 5))
    weight[0, 0] = 0
    theirs = ask_keras("losses.penalties", profile, cases=json.dumps(RULES), weight=weight)
    for number, (module, name, arguments) in enumerate(RULES):
        if module == "regularizers":
            rule = regularizer_from_keras_config(name, arguments, PROFILE_OF[profile])
        else:
            rule = constraint_from_keras_config(name, arguments)
        keras = theirs[str(number)]
        residual = np.abs(rule(torch.from_numpy(weight)).numpy() - keras).max() / np.abs(keras).max()
        assert residual <= 1e-15, (name, arguments, residual)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_aliases_are_keras(profile: str) -> None:
    words = [*ALIASES, *(word.upper() for word in ("bce", "kld", "mae", "mape", "mse", "msle"))]
    theirs = ask_keras("losses.names", profile, words=words)["names"]
    known = {word: name for word, name in zip(words, map(str, theirs), strict=True) if name}
    assert {"mse", "MAE", "bce", "kld", "msle", "mape"} <= set(known)
    assert {word: ALIASES[word.lower()] for word in known} == known


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("hinge", {}, "no rule for the loss hinge: there are binary_crossentropy"),
        ("categorical_crossentropi", {}, 'did you mean "categorical_crossentropy"?'),
        ("categorical_crossentropy", {"label_smoothing": 2}, "label_smoothing is 2.0: give a share"),
        ("binary_crossentropy", {"label_smoothing": -1}, "label_smoothing is -1.0: give a share"),
        ("sparse_categorical_crossentropy", {"ignore_class": 3}, "ignore_class has no rule yet"),
        ("mean_squared_error", {"gamma": 3}, "no rule for its argument gamma"),
    ],
)
def test_loss_without_a_rule_is_one_line(name: str, config: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        loss_from_keras_config(name, config, None, PROFILE_OF["keras3"])
    assert message in str(caught.value)
