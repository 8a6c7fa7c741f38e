"""Two one-sided tests over paired seeds, their power, and the band of a single run."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from parity_common.command_errors import UserError
from porting.equivalence import SIGNIFICANCE, band, equivalence, power


def seeds(shift: float, count: int = 10, spread: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two sides whose means lie `shift` apart."""
    random = np.random.RandomState(seed)
    return shift + spread * random.randn(count), spread * random.randn(count)


def test_equal_sides_are_equivalent_and_others_are_not() -> None:
    assert equivalence(*seeds(0.0, spread=0.5), margin=3).holds
    assert not equivalence(*seeds(3.0, spread=0.5), margin=3).holds
    assert not equivalence(*seeds(-6.0, spread=0.5), margin=3).holds
    # Too wide a spread can show nothing, however equal the sides are.
    wide = equivalence(*seeds(0.0, spread=20.0), margin=3)
    assert not wide.holds
    assert not wide.differs
    assert wide.power < 0.01


def test_interval_lies_within_the_margin_exactly_where_it_holds() -> None:
    for number in range(200):
        result = equivalence(*seeds(1.5, seed=number), margin=2)
        low, high = result.interval
        assert result.holds == (low > -2 and high < 2)


def test_a_wrong_claim_is_as_seldom_as_stated() -> None:
    """At a true difference of just the margin the tests may hold in SIGNIFICANCE of all cases."""
    rounds = 600
    claims = sum(
        equivalence(*seeds(2.0, spread=0.7, seed=number), margin=2).holds for number in range(rounds)
    )
    assert stats.binomtest(claims, rounds, SIGNIFICANCE).pvalue > 0.001


@pytest.mark.parametrize(("count", "margin"), [(5, 2.0), (10, 1.2), (20, 0.8)])
def test_power_is_how_often_it_holds(count: int, margin: float) -> None:
    rounds = 500
    held = sum(
        equivalence(*seeds(0.0, count, 1 / np.sqrt(2), number), margin=margin).holds
        for number in range(rounds)
    )
    stated = power(count, 1.0, margin)
    assert 0.2 < stated < 0.99
    assert stats.binomtest(held, rounds, stated).pvalue > 0.001


def test_band_holds_one_more_run_as_often_as_stated() -> None:
    rounds, inside = 2000, 0
    for number in range(rounds):
        values = np.random.RandomState(number).randn(11)
        low, high = band(values[:10], coverage=0.9)
        inside += low < values[10] < high
    assert stats.binomtest(inside, rounds, 0.9).pvalue > 0.001


@pytest.mark.parametrize(
    ("ours", "theirs", "says"),
    [
        ([1, 2], [1, 2], "2 and 2 seeds: equivalence needs three or more"),
        ([1, 2, 3], [1, 2, 3, 4], "3 and 4 seeds"),
        ([1, 2, 3], [1, 2, 3], "no spread to judge by"),
        ([1, 2, float("nan")], [1, 3, 5], "not finite"),
    ],
)
def test_what_cannot_be_judged_is_refused(ours: list[float], theirs: list[float], says: str) -> None:
    with pytest.raises(UserError, match=says):
        equivalence(ours, theirs, margin=1)
