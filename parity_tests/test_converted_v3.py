"""The converted v3 climbs the ladder as lightning_impl's own does, and its first 100 steps are the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from conftest import FindTrace
from torch import Tensor, nn

from lightning_impl.compiled import CompiledModule
from lightning_impl.keras_semantics.losses import CategoricalCrossentropy
from lightning_impl.keras_semantics.optimizers import build_optimizer
from lightning_impl.keras_semantics.profile import KERAS3
from lightning_impl.models import V3
from parity_tests.converted import Made
from parity_tests.training_cases import CLASSES, IMAGE_SIZE
from porting.ladder import climb
from porting.replay import load_port

BATCH = 4
DROPOUTS = ("drop1", "drop2", "drop3", "drop4", "drop_dense")
# Both are float64: what is left is the order of sums.
SAME = 1e-9


# In float64 tf_keras has no fused kernel, whose unbiased variance the converted model has (D03).
@pytest.mark.parametrize(
    ("profile", "dtype"), [("tf2.4", "float32"), ("keras3", "float32"), ("keras3", "float64")]
)
def test_converted_v3_climbs_the_whole_ladder(
    training_traces: FindTrace,
    converted: Made,
    profile: str,
    dtype: str,
) -> None:
    results = climb(training_traces("v3_nadam", profile, dtype), load_port(str(converted("v3", profile))))
    last = results[-1]
    assert last.holds, f"rung {last.number} {last.name}, {last.layer}: {last.fault}"
    assert last.name == "trajectory"


def test_unbiased_variance_is_caught_in_float64(training_traces: FindTrace, converted: Made) -> None:
    results = climb(training_traces("v3_nadam", "tf2.4", "float64"), load_port(str(converted("v3", "tf2.4"))))
    assert (results[-1].name, results[-1].holds) == ("state", False)


@pytest.mark.parametrize("steps", [10, pytest.param(100, marks=pytest.mark.lockstep)])
def test_first_steps_are_those_of_our_v3(converted: Made, steps: int) -> None:
    torch.manual_seed(3)
    ours = V3(CLASSES, IMAGE_SIZE, KERAS3).double()
    theirs = load_port(str(converted("v3", "keras3")))().double()
    names = dict(theirs.keras_names)
    state = {
        f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value.clone()
        for name, value in ours.state_dict().items()
        if value.is_floating_point()
    }
    assert not theirs.load_state_dict(state, strict=False).unexpected_keys
    losses = [list(_train(net, names if net is theirs else {}, steps)) for net in (ours, theirs)]
    worst = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    assert len(losses[0]) == steps
    assert worst < SAME
    own = dict(ours.state_dict())
    for name, value in theirs.state_dict().items():
        keras = next((k for k, n in names.items() if n == name.rpartition(".")[0]), None)
        if keras is not None and value.is_floating_point():
            twin = own[f"{keras}.{name.rpartition('.')[2]}"]
            # The gradient of a bias before BatchNormalization is round-off alone (D29).
            if not (keras.startswith(("conv", "dense")) and name.endswith("bias")):
                assert float((value - twin).abs().max() / twin.abs().max()) < 1e-7, name


def _train(net: nn.Module, names: dict[str, str], steps: int) -> Iterator[float]:
    """The losses of a training with seeded batches and dropout masks."""
    random = torch.Generator().manual_seed(5)
    masks = [torch.Generator().manual_seed(number) for number in range(len(DROPOUTS))]
    for name, generator in zip(DROPOUTS, masks, strict=True):
        layer = net.get_submodule(names.get(name, name))
        layer.forward = partial(_dropped, getattr(layer, "rate", getattr(layer, "p", None)), generator)
    module = CompiledModule(
        net, CategoricalCrossentropy(), lambda trained: build_optimizer("nadam", KERAS3, trained, 0.001)
    ).train()
    optimizer = module.configure_optimizers()
    for _ in range(steps):
        images = torch.rand((BATCH, 3, *IMAGE_SIZE), generator=random, dtype=torch.float64)
        labels = torch.randint(CLASSES, (BATCH,), generator=random)
        optimizer.zero_grad()
        loss, _ = module.loss_and_accuracy((images, labels))
        loss.backward()
        optimizer.step()
        yield float(loss.detach())


def _dropped(rate: float, generator: torch.Generator, features: Tensor) -> Tensor:
    kept = torch.rand(features.shape, generator=generator, dtype=features.dtype) >= rate
    return features * kept / (1 - rate)
