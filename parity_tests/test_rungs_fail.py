"""Checks that can fail: seeded faults, each caught at its rung and layer; and the comparison's own faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import DTYPES, FindTrace
from torch import Tensor, nn

from lightning_impl.keras_semantics.layers import BatchNorm
from lightning_impl.keras_semantics.weight_places import RULES, Place
from lightning_impl.models.v3 import V3
from parity_common.command_errors import UserError
from porting import ladder
from porting.comparison import compare, compare_array, is_constant_over_batch
from porting.ladder import Case, climb
from porting.replay import build_port, run
from porting.tolerances import TOLERANCES
from porting.trace import Trace
from porting.weights import keras_to_torch


class TorchEpsilon(V3):
    """torch's default epsilon in place of Keras's."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.epsilon = 1e-5


class ChannelsFirstFlatten(V3):
    """torch's flatten order; every shape still agrees."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.flatten = nn.Flatten()


class MissingBias(V3):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, bias=False)


class SwappedClasses(V3):
    """The first two classes in the other order, as a wrong class list gives."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.head.register_forward_hook(
            lambda layer, given, logits: torch.cat([logits[:, [1, 0]], logits[:, 2:]], dim=1)
        )


class ReluBeforeNorm(V3):
    def forward(self, images: Tensor) -> Tensor:
        x = self.drop1(self.pool1(self.bn1(self.relu1(self.conv1(images)))))
        x = self.drop2(self.pool2(self.relu2(self.bn2(self.conv2(x)))))
        x = self.drop3(self.pool3(self.relu3(self.bn3(self.conv3(x)))))
        x = self.drop4(self.pool4(self.relu4(self.bn4(self.conv4(x)))))
        return self.head(self.drop_dense(self.relu_dense(self.bn_dense(self.dense(self.flatten(x))))))


class BatchStatistics(V3):
    """bn2 stays in training mode, as a frozen layer does that nobody called eval() on."""

    def train(self, mode: bool = True) -> V3:
        super().train(mode)
        self.bn2.train()
        return self


class UnpaddedConvolution(V3):
    """The net breaks: what torch raises must be named with its layer."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.conv3 = nn.Conv2d(32, 128, 3, padding=1)


FAULTY_PORTS = [
    (TorchEpsilon, "forward", "bn1"),
    (ChannelsFirstFlatten, "forward", "flatten"),
    (MissingBias, "structure", "conv2"),
    (SwappedClasses, "forward", "head"),
    (ReluBeforeNorm, "structure", "bn1"),
    (BatchStatistics, "forward", "bn2"),
    (UnpaddedConvolution, "structure", "conv3"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("port", "rung", "layer"), [pytest.param(*fault, id=fault[0].__name__) for fault in FAULTY_PORTS]
)
def test_faulty_port_is_caught(
    traces: FindTrace, port: type[nn.Module], rung: str, layer: str, dtype: str
) -> None:
    last = climb(traces("v3", "tf2.4", dtype), port)[-1]
    assert (last.holds, last.name, last.layer) == (False, rung, layer), last.fault


@pytest.mark.parametrize("dtype", DTYPES)
def test_swapped_kernel_sides_are_caught(
    traces: FindTrace, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A square kernel: no shape tells, and the way back undoes it, so rung 2 holds.
    monkeypatch.setitem(RULES["Conv2D"], "kernel", Place("weight", (3, 2, 1, 0)))
    last = climb(traces("v3", "tf2.4", dtype), V3)[-1]
    assert (last.holds, last.name, last.layer) == (False, "forward", "conv1"), last.fault


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounded_weights_are_caught(traces: FindTrace, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def through_half(arrays: dict[str, np.ndarray], layers: Any, module: nn.Module) -> None:
        half = {name: array.astype(np.float16).astype(array.dtype) for name, array in arrays.items()}
        keras_to_torch(half, layers, module)

    monkeypatch.setattr(ladder, "keras_to_torch", through_half)
    last = climb(traces("v3", "tf2.4", dtype), V3)[-1]
    assert (last.holds, last.name, last.layer) == (False, "weights", "conv1"), last.fault


def test_swapped_classes_pass_a_comparison_of_sorted_outputs(golden: Trace) -> None:
    """Why the ladder compares in place: a criterion that sorts, or takes means, cannot see this fault."""
    case = Case(golden, build_port(SwappedClasses, golden))
    ladder.weights(case)
    ours = run(case.module, golden).outputs["softmax"]
    theirs = golden.array("activation/softmax")
    assert compare_array("sorted", np.sort(ours), np.sort(theirs), 1e-13).holds
    assert not compare_array("in place", ours, theirs, 1e-13).holds


def test_forward_names_the_worst_element_in_the_whole_activation(golden: Trace) -> None:
    last = climb(golden, TorchEpsilon)[-1]
    worst = next(each for each in last.comparisons if each.name == "bn1")
    case = Case(golden, build_port(TorchEpsilon, golden))
    ladder.weights(case)
    whole = run(case.module, golden).outputs["bn1"]
    assert worst.index is not None
    assert len(worst.index) == 4
    assert whole[worst.index] == worst.ours
    assert str(list(worst.index)) in last.fault


def test_constant_activation_is_an_error_of_the_case(golden: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = golden.kept

    def dead_relu(name: str) -> np.ndarray:
        return np.zeros_like(kept(name)) if name == "activation/relu3" else kept(name)

    monkeypatch.setattr(golden, "kept", dead_relu)
    with pytest.raises(UserError, match="relu3 gives the same for every example"):
        climb(golden, V3)


def test_comparison_checks_names_both_ways() -> None:
    one = np.ones((2, 3))
    results = compare({"a": one, "mine": one}, {"a": one, "yours": one}, 0.0)
    assert [(each.name, each.holds) for each in results] == [("a", True), ("yours", False), ("mine", False)]


@pytest.mark.parametrize(
    ("ours", "theirs", "fault"),
    [
        pytest.param(np.ones((2, 3)), np.ones((3, 2)), "shape", id="shape"),
        pytest.param(np.ones(3), np.ones(4), "shape", id="length"),
        pytest.param(np.ones(3, np.float32), np.ones(3), "dtype", id="dtype"),
        pytest.param(np.array([1, np.nan]), np.array([1, np.nan]), "not finite", id="nan-on-both-sides"),
        pytest.param(np.array([1, np.inf]), np.ones(2), "not finite", id="infinite"),
        pytest.param(np.zeros(0), np.zeros(0), "no values", id="empty"),
        pytest.param(np.array([1e-30]), np.zeros(1), "residual inf", id="against-zeros"),
        pytest.param(np.array([0.0, 1]), np.array([-0.0, 1]), "same bytes", id="sign-of-zero"),
        pytest.param(np.array([1 + 1e-9]), np.ones(1), "residual 1e-09", id="numbers"),
    ],
)
def test_comparison_catches(ours: np.ndarray, theirs: np.ndarray, fault: str) -> None:
    assert fault in compare_array("case", ours, theirs, 0.0).fault


def test_comparison_names_the_worst_element() -> None:
    theirs = np.arange(6.0).reshape(2, 3)
    ours = theirs.copy()
    ours[1, 0] += 0.5
    result = compare_array("case", ours, theirs, 1e-3)
    assert (result.index, result.ours, result.theirs, result.residual) == ((1, 0), 3.5, 3.0, 0.1)


def test_constant_over_batch() -> None:
    row = np.arange(4.0)
    assert is_constant_over_batch(np.stack([row, row]))
    assert is_constant_over_batch(np.zeros((2, 4)))
    assert not is_constant_over_batch(np.stack([row, row + 1]))


def test_every_tolerance_has_its_reason() -> None:
    for key, tolerance in TOLERANCES.items():
        assert len(tolerance.reason) > 20, key
