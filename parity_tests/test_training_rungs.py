"""Rungs 4 to 7 and 9: whole trainings of v1, v2, v3 and of a small net, in both profiles and precisions."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
from conftest import DTYPES, PROFILES, FindTrace

from parity_tests.training_ports import PORTS
from porting.ladder import climb
from porting.trace import Trace, training_of

CASES = [pytest.param(*case, id="-".join(case)) for case in itertools.product(PORTS, PROFILES, DTYPES)]
RUNGS = ["structure", "weights", "forward", "loss", "gradients", "update", "state", "trajectory"]


@pytest.mark.parametrize(("case", "profile", "dtype"), CASES)
def test_training_matches_keras(training_traces: FindTrace, case: str, profile: str, dtype: str) -> None:
    results = climb(training_traces(case, profile, dtype), PORTS[case])
    last = results[-1]
    assert last.holds, f"rung {last.number} {last.name}, {last.layer}: {last.fault}"
    assert [each.name for each in results] == RUNGS
    weights = next(each for each in results if each.name == "weights")
    trajectory = results[-1]
    assert len(trajectory.comparisons) > len(weights.comparisons)


def test_cases_act(training_traces: FindTrace) -> None:
    """The callbacks act, and a batch is short: otherwise their rungs would prove nothing."""
    for profile in PROFILES:
        stopped, lowered = set(), set()
        for case in PORTS:
            trace = training_traces(case, profile, "float64")
            training = training_of(trace)
            assert len(trace.array("fit/labels")) % training.batch
            if training.epochs_run < training.epochs:
                stopped.add(case)
            if len(set(trace.array("steps/learning_rate").tolist())) > 1:
                lowered.add(case)
            assert training.dropout or case in ("v1_adam", "small_activations")
        assert "v1_adam" in stopped
        assert {"v1_adam", "v2_adam", "v3_nadam", "small_sgd", "small_adam", "small_rmsprop"} <= lowered


@pytest.mark.parametrize("profile", PROFILES)
def test_a_scheduler_gives_the_port_its_rates(
    training_traces: FindTrace, profile: str, tmp_path: Path
) -> None:
    """What LearningRateScheduler's function gave is in the trace, an epoch each; other rates are caught."""
    trace = training_traces("small_rmsprop", profile, "float64")
    scheduler = training_of(trace).callbacks[-1]
    rates = scheduler["config"]["rates"]
    assert scheduler["class"] == "LearningRateScheduler"
    assert len(rates) == training_of(trace).epochs_run
    assert len(set(rates)) > 3
    shutil.copytree(trace.folder, tmp_path / "other")
    described = json.loads((trace.folder / "trace.json").read_text(encoding="utf-8"))
    described["training"]["callbacks"][-1]["config"]["rates"][2] *= 1.01
    (tmp_path / "other" / "trace.json").write_text(json.dumps(described), encoding="utf-8")
    last = climb(Trace(tmp_path / "other"), PORTS["small_rmsprop"])[-1]
    assert (last.name, last.holds) == ("trajectory", False)
    # Before the losses that come of it.
    assert next(each.name for each in last.comparisons if not each.holds) == "learning rate"
