"""A port's own spread: what it lets pass, and that a fault does not."""

from __future__ import annotations

import itertools

import pytest
import torch
from conftest import FindTrace
from torch import nn

from parity_tests.training_ports import PORTS
from porting.case import Case
from porting.comparison import Comparison
from porting.ladder import climb
from porting.last_bits import (
    IN_INFERENCE,
    IN_TRAINING,
    PROBES,
    TIMES_OWN_SPREAD,
    allow_own_spread,
    nudge_weights,
)
from porting.recipe import recipe_of
from porting.replay import build_port


@pytest.fixture
def case(training_traces: FindTrace) -> Case:
    trace = training_traces("small_sgd", "tf2.4", "float32")
    return Case(trace, build_port(PORTS["small_sgd"], trace), recipe_of(trace))


def judged(case: Case, residual: float, spread: float) -> Comparison:
    """One array over its tolerance of 1e-5, in a port whose nudged copies are `spread` apart."""
    over = Comparison("loss", 1e-5, residual, "over", (0,), 1.0, 1.0)
    (found,) = allow_own_spread([over], case, lambda net: [Comparison("loss", 1e-5, spread)], IN_TRAINING)
    return found


def test_what_the_port_itself_is_apart_is_allowed(case: Case) -> None:
    assert judged(case, 2e-3, 1e-3).holds
    assert judged(case, 2e-3, 1e-3).tolerance == TIMES_OWN_SPREAD * 1e-3


def test_a_fault_is_in_all_copies_alike_and_stays(case: Case) -> None:
    found = judged(case, 2e-3, 1e-6)
    assert not found.holds
    # Never below the table's tolerance.
    assert found.tolerance == 1e-5
    assert "thrice the port's spread" in judged(case, 2e-3, 1e-5).fault


def test_arrays_that_hold_cost_nothing(case: Case) -> None:
    def never(net: nn.Module) -> list[Comparison]:
        raise AssertionError("walked again")

    holds = Comparison("loss", 1e-5, 1e-6)
    assert allow_own_spread([holds], case, never, IN_TRAINING) == [holds]
    # What cannot be measured is not excused either.
    shapes = Comparison("loss", 1e-5, fault="shape (2,), Keras has (3,)")
    assert allow_own_spread([shapes], case, never, IN_TRAINING) == [shapes]


def test_copies_differ_in_their_last_bits_only() -> None:
    for dtype, nudges in itertools.product((torch.float32, torch.float64), (IN_INFERENCE, IN_TRAINING)):
        nets = [nn.Linear(50, 40).to(dtype) for _ in range(PROBES)]
        for net in nets:
            net.load_state_dict(nets[0].state_dict())
        start = nets[0].weight.detach().clone()
        nudge = nudges[str(dtype).removeprefix("torch.")]
        for probe, net in enumerate(nets):
            nudge_weights(net, probe, nudge)
            apart = ((net.weight - start).abs() / start.abs()).max()
            assert 0 < apart <= 1.01 * nudge + torch.finfo(dtype).eps
        assert len({net.weight.detach().numpy().tobytes() for net in nets}) == PROBES


def test_a_late_fault_in_float32_is_caught_beside_chaos(training_traces: FindTrace) -> None:
    """v3 in float32 parts from itself within ten steps; a wrong rate in its optimizer is still seen."""
    trace = training_traces("v3_nadam", "tf2.4", "float32")

    def a_rate_one_percent_off(case: Case) -> None:
        assert case.recipe is not None
        make = case.recipe.make_optimizer

        def off(parameters):
            optimizer = make(parameters)
            for group in optimizer.param_groups:
                group["lr"] *= 1.01
            return optimizer

        case.recipe.make_optimizer = off

    last = climb(trace, PORTS["v3_nadam"], a_rate_one_percent_off)[-1]
    assert not last.holds
