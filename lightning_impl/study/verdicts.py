"""Whether a claim of the log holds here: a difference of means held against the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

HOLDS = "holds here"
FAILS = "does not hold here"
UNKNOWN = "cannot be told with this data"

# Two-sided: each side errs in one case of twenty, as two one-sided tests at 5% do.
CONFIDENCE = 0.9


@dataclass(frozen=True)
class Verdict:
    """A claim and what came of it.

    Attributes:
        difference: The first variant's mean less the second's.
        low: Of the interval that holds the true difference with CONFIDENCE.
        high: Likewise.
        verdict: HOLDS, FAILS or UNKNOWN.
    """

    difference: float
    low: float
    high: float
    verdict: str


def judge(
    first: Sequence[float], second: Sequence[float], above: float | None, below: float | None
) -> Verdict:
    """Judges the claim that the difference of two means lies above, or below, a number.

    It holds where the whole interval does, fails where the whole interval lies on the other side, and cannot
    be told where the number lies within. The interval is Welch's (Biometrika 34, 1947): the two may spread
    differently.

    Args:
        first: A value a seed, two or more.
        second: Likewise.
        above: None where `below` is given.
        below: None where `above` is given.
    """
    difference, low, high = welch_interval(first, second)
    if above is not None:
        holds, fails = low > above, high < above
    else:
        assert below is not None
        holds, fails = high < below, low > below
    return Verdict(difference, low, high, HOLDS if holds else FAILS if fails else UNKNOWN)


def welch_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """The difference of the means and the ends of its interval."""
    difference = float(np.mean(first) - np.mean(second))
    if np.var(first) == 0 and np.var(second) == 0:
        # No spread at all, where Welch divides by it.
        return difference, difference, difference
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(CONFIDENCE)
    return difference, float(interval.low), float(interval.high)


def together(verdicts: Sequence[str]) -> str:
    """The verdict on an experiment: it holds if each claim does, and fails if one does."""
    if FAILS in verdicts:
        return FAILS
    return UNKNOWN if UNKNOWN in verdicts else HOLDS
