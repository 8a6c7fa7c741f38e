"""Rungs 4 to 7 and 9: whole trainings of v1, v2, v3 and of a small net, in both profiles and precisions."""

from __future__ import annotations

import itertools

import pytest
from conftest import DTYPES, PROFILES, FindTrace

from parity_tests.training_ports import PORTS
from porting.ladder import climb
from porting.trace import training_of

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
        assert {"v1_adam", "v2_adam", "v3_nadam", "small_sgd", "small_adam"} <= lowered
