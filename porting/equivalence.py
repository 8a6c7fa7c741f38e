"""Whether two implementations train alike: paired seeds and two one-sided tests.

"No significant difference" proves nothing: few seeds never find one. Equivalence is claimed only where the
difference is shown to be smaller than a margin stated beforehand (Schuirmann 1987, J. Pharmacokinetics and
Biopharmaceutics 15:657, two one-sided tests).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats

from parity_common.command_errors import UserError

SIGNIFICANCE = 0.05
# One new training of the same model lies outside the band this seldom.
BAND_COVERAGE = 0.999


@dataclass(frozen=True)
class Equivalence:
    """What paired seeds say of the mean difference, ours minus theirs, in the measure's own unit.

    Attributes:
        seeds: Pairs.
        margin: The largest mean difference that counts as none.
        ours: Mean of ours.
        theirs: Mean of theirs.
        difference: Their mean difference.
        interval: Of the mean difference, at 1 - 2 SIGNIFICANCE; within the margin exactly where `holds`.
        p_value: The larger of the two one-sided tests'.
        p_difference: Of the two-sided paired t-test that the means are equal.
        power: How probable it was that the tests hold, were there no difference at all, with the spread seen.
    """

    seeds: int
    margin: float
    ours: float
    theirs: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    p_difference: float
    power: float

    @property
    def holds(self) -> bool:
        """The mean difference is within the margin."""
        return self.p_value < SIGNIFICANCE

    @property
    def differs(self) -> bool:
        """The means are not equal. It may hold as well: a difference that is there, and small."""
        return self.p_difference < SIGNIFICANCE

    @property
    def verdict(self) -> str:
        """What the tests say, in words."""
        if self.holds:
            return "equivalent"
        return "NOT equivalent" if self.differs else "not shown: too wide a spread"


def equivalence(ours: Sequence[float], theirs: Sequence[float], margin: float) -> Equivalence:
    """Two one-sided paired t-tests.

    Args:
        ours: `(N,)`, one value a seed.
        theirs: `(N,)` of the same seeds in the same order.
        margin: Above 0, in the unit of the values.

    Raises:
        UserError: Fewer than three pairs, another number on either side, a value that is not finite, or
            values that do not vary.
    """
    if len(ours) != len(theirs) or len(ours) < 3:
        raise UserError(f"{len(ours)} and {len(theirs)} seeds: equivalence needs three or more of both")
    differences = np.subtract(ours, theirs, dtype=np.float64)
    spread = float(np.std(differences, ddof=1))
    if not np.isfinite(differences).all() or spread == 0:
        raise UserError("differences over seeds that are not finite or all the same: no spread to judge by")
    count = len(differences)
    above = stats.ttest_1samp(differences, -margin, alternative="greater")
    below = stats.ttest_1samp(differences, margin, alternative="less")
    both = stats.ttest_1samp(differences, 0.0)
    interval = both.confidence_interval(1 - 2 * SIGNIFICANCE)
    return Equivalence(
        seeds=count,
        margin=margin,
        ours=float(np.mean(ours)),
        theirs=float(np.mean(theirs)),
        difference=float(differences.mean()),
        interval=(float(interval.low), float(interval.high)),
        p_value=float(max(above.pvalue, below.pvalue)),
        p_difference=float(both.pvalue),
        power=power(count, spread, margin),
    )


def power(seeds: int, spread: float, margin: float) -> float:
    """The probability that both tests hold where the true mean difference is 0.

    Args:
        seeds: Pairs, two or more.
        spread: Standard deviation of the differences.
        margin: As in `equivalence`.
    """
    error, freedom = spread / math.sqrt(seeds), seeds - 1
    quantile = stats.t.ppf(1 - SIGNIFICANCE, freedom)

    # Given s, the estimate of the standard error as a multiple of the true one, the mean must lie within
    # margin - t s of 0 (Phillips 1990, J. Pharmacokinetics and Biopharmaceutics 18:137).
    def given(s: float) -> float:
        room = margin / error - quantile * s
        density = stats.chi2.pdf(freedom * s * s, freedom) * 2 * freedom * s
        return (2 * stats.norm.cdf(room) - 1) * density if room > 0 else 0.0

    value, _ = integrate.quad(given, 0, margin / error / quantile, limit=200)
    return float(value)


def band(values: Sequence[float], coverage: float = BAND_COVERAGE) -> tuple[float, float]:
    """Where one more training of the same model lies with probability `coverage`: a prediction interval.

    Args:
        values: `(N,)` of trainings that differ in their seed alone.
        coverage: In (0, 1).

    Raises:
        UserError: Fewer than three values.
    """
    if len(values) < 3:
        raise UserError(f"{len(values)} seeds: a band needs three or more")
    count = len(values)
    half = stats.t.ppf((1 + coverage) / 2, count - 1) * np.std(values, ddof=1) * math.sqrt(1 + 1 / count)
    middle = float(np.mean(values))
    return middle - float(half), middle + float(half)
