"""final's backbones on every rung, in both generations: sizes, stages of a fine-tuning, lockstep.

Minutes on one core: `pytest -m final`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from conftest import DTYPES, PROFILES, REPOSITORY, record_at_once

from lightning_impl.keras_semantics.layers import BatchNorm, DropoutPerImage
from lightning_impl.keras_semantics.profile import Profile
from lightning_impl.models.final import Final
from parity_tests.final_cases import FIRST_TRAINED, STAGES
from porting.case import Case
from porting.ladder import RungResult, climb
from porting.replay import Port
from porting.trace import Trace, training_of

pytestmark = pytest.mark.final

FINAL_CASES = REPOSITORY / "parity_tests" / "final_cases.py"
BACKBONES = tuple(FIRST_TRAINED)
# The small one is the quick suite's.
SIZES = ("odd", "own")
LARGEST_ACTIVATION_RESIDUAL = {"float64": 1e-9, "float32": 5e-5}
LARGEST_GRADIENT_RESIDUAL = 1e-8
LARGEST_LOCKSTEP_RESIDUAL = 1e-7
LEAST_STEPS = 20
SHARED = ["--input-range=0,255", "--calibrate", "--keep=1024"]

Record = Callable[..., Trace]


@pytest.fixture(scope="module")
def record(keras_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Records one case when it is asked for: all of them at once would take tens of GiB."""

    def make(case: str, profile: str, dtype: str, *more: str) -> Trace:
        folder = tmp_path_factory.mktemp("final") / "trace"
        arguments = [f"--model={FINAL_CASES}:{case}", f"--profile={profile}", f"--dtype={dtype}"]
        record_at_once({profile: [[*arguments, f"--out={folder}", *SHARED, *more]]})
        return Trace(folder)

    return make


def staged(backbone: str, stage: str) -> Port:
    """The port at a stage of the fine-tuning."""

    def build(classes: int, image_size: tuple[int, int], profile: Profile) -> Final:
        net = Final(classes, image_size, profile, backbone)
        if stage != "whole":
            net.freeze(FIRST_TRAINED[backbone] if stage == "second" else None)
        return net

    return build


def worst(result: RungResult) -> float:
    return max(each.residual or 0.0 for each in result.comparisons)


def require_that_all_hold(results: list[RungResult]) -> None:
    last = results[-1]
    assert last.holds, f"rung {last.number} {last.name}, {last.layer}: {last.fault}"


@pytest.mark.parametrize(
    ("backbone", "size", "profile", "dtype"),
    [
        pytest.param(*case, id="-".join(case))
        for case in itertools.product(BACKBONES, SIZES, PROFILES, DTYPES)
    ],
)
def test_every_block_matches_keras(
    record: Record, backbone: str, size: str, profile: str, dtype: str
) -> None:
    trace = record(f"{backbone}_{size}", profile, dtype, "--batch=4")
    results = climb(trace, partial(Final, backbone=backbone))
    require_that_all_hold(results)
    assert worst(results[-1]) <= LARGEST_ACTIVATION_RESIDUAL[dtype]


def train(record: Record, backbone: str, stage: str, profile: str) -> Trace:
    """21 steps, of which each third has a short batch, and one of them whole."""
    more = ("--epochs=7", "--update-steps=1", "--examples=20", "--train-batch=8", "--validation-examples=4")
    return record(f"{backbone}_{stage}", profile, "float64", "--batch=4", *more)


@pytest.mark.parametrize(
    ("backbone", "stage", "profile"),
    [pytest.param(*case, id="-".join(case)) for case in itertools.product(BACKBONES, STAGES, PROFILES)],
)
def test_training_matches_keras(record: Record, backbone: str, stage: str, profile: str) -> None:
    trace = train(record, backbone, stage, profile)
    assert training_of(trace).steps >= LEAST_STEPS
    results = climb(trace, staged(backbone, stage))
    require_that_all_hold(results)
    by_name = {result.name: result for result in results}
    assert worst(by_name["gradients"]) <= LARGEST_GRADIENT_RESIDUAL
    assert worst(by_name["trajectory"]) <= LARGEST_LOCKSTEP_RESIDUAL


def left_in_training_mode(case: Case) -> None:
    """requires_grad_(False) alone, as torch's users freeze."""
    for layer in case.module.modules():
        if isinstance(layer, BatchNorm):
            layer.trainable = True


def dropout_in_evaluation_mode(case: Case) -> None:
    for module in case.module.modules():
        if isinstance(module, DropoutPerImage):
            dropout: Any = module.eval()
            dropout.train = lambda mode=True, dropout=dropout: dropout


@pytest.mark.parametrize("backbone", ["efficientnet_b0", "efficientnet_lite0"])
@pytest.mark.parametrize("fault", [left_in_training_mode, dropout_in_evaluation_mode])
def test_wrongly_frozen_part_fails_its_rung(
    record: Record, fault: Callable[[Case], None], backbone: str
) -> None:
    trace = train(record, backbone, "first", "keras3")
    last = climb(trace, staged(backbone, "first"), fault)[-1]
    assert (last.holds, last.name) == (False, "state"), last.fault
