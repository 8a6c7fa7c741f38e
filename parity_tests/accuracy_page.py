"""docs/accuracy.md from docs/accuracy.json: every figure of the page is worked out here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from parity_tests.bands import FAULTY, KERAS, LIGHTNING, NETS, Side
from porting.accuracy import (
    ACCURACY,
    FINAL_EPOCHS,
    MEASURES,
    Measure,
    Training,
    compare,
    final_accuracy,
    mean_interval,
)
from porting.equivalence import BAND_COVERAGE, SIGNIFICANCE, Equivalence, band

Trainings = Mapping[str, Mapping[str, Sequence[Training]]]
PERCENT = 100
# Chance is a sixth.
NEVER_LEFT_CHANCE = 0.2

HEAD = """\
# Accuracy over seeds

Written by `pytest parity_tests -m bands --write-pages`; every figure is worked out from `accuracy.json`.

Layers and steps that are equal one by one (the rungs below this one) should train alike. Here both
frameworks train apart: each from its own random start weights, with its own dropout, batch order and
augmentation, by its own command, over the same seeds. Small enough for that: of the stand-in's classes
{classes}, {training} training and {validation} validation images, batches of {batch}, {epochs} epochs; v1
at 64 × 64 pixels, v2 and v3 at 32 × 32, half of the log's sides; profile tf2.4. The configs are
`configs/bands/`; the images are listed by hash in `parity_tests/bands_manifest.json`.

Two sides count as equivalent when two one-sided t-tests over paired seeds reject both that the mean
difference is above the margin and that it is below minus the margin, at {level} each; which is so exactly
when the {interval}% interval of the difference lies within the margin. Measures and margins were set
before the trainings: **final accuracy** is the mean of the last {final} epochs' validation accuracies,
margin 3 points; the **validation-loss curve** is the mean of the validation loss over all epochs, margin
5% of Keras's. Power is how probable it was that the tests hold if there is no difference at all, with the
spread that was seen.
"""

V2_TAIL = """\
After ten seeds v2's means differed, at p of a few hundredths. With six such tests on the page one of them is
no wonder, but it might have been a cause. Ten fresh seeds were to tell: a cause would show in them again.

v2's wide spread has a reason of its own: it begins with epochs in which it learns nothing, and how many is
chance. {keras} of Keras's and {lightning} of Lightning's {seeds} trainings had not left chance at the end
(final accuracy under {limit:.0%}).
"""

TAIL = """\
## What must not be concluded

- That these accuracies say anything of the log's: other images, fewer of them, smaller, fewer classes.
- That the log's figures are reproduced. The log is one training each, of one seed; one number can support
  consistency, never equivalence.
- That a difference smaller than the margin is no difference. Rungs 1 to 9 speak of exact equality; this one
  of what can be seen in an accuracy.
- That so many seeds see everything: the table of faulty ports says what they do not see.
"""


def page(kept: Mapping[str, Any], trainings: Trainings) -> str:
    """The whole page.

    Args:
        kept: docs/accuracy.json.
        trainings: What it holds, by net and side.
    """
    said = kept["size"]
    lines = [
        HEAD.format(
            level=SIGNIFICANCE,
            interval=round(PERCENT * (1 - 2 * SIGNIFICANCE)),
            final=FINAL_EPOCHS,
            **said,
        )
    ]
    for measure in MEASURES:
        lines += _equivalence_table(measure, trainings)
    lines += _v2_by_tens(trainings)
    lines += _pictures()
    lines += _story(trainings)
    lines += _what_it_sees(trainings)
    lines += _bands(trainings)
    lines += [
        TAIL,
        f"Made on {kept['certificate']['machine']} with {_versions(kept)}; {kept['certificate']['date']}.",
    ]
    return "\n".join(lines) + "\n"


def _equivalence_table(measure: Measure, trainings: Trainings) -> list[str]:
    lines = [
        f"## {measure.name[0].upper()}{measure.name[1:]}",
        "",
        "| | seeds | Keras | Lightning | difference | 90% interval | margin | p | power | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for net in NETS:
        result = compare(trainings[net][LIGHTNING.name], trainings[net][KERAS.name], measure)
        lines.append(f"| {net} | {_row(measure, result)} |")
    return [*lines, ""]


def _v2_by_tens(trainings: Trainings) -> list[str]:
    """v2's first ten seeds and its second ten, each alone."""
    lines = [
        "## v2, ten seeds and ten more",
        "",
        "| seeds | measure | difference | 90% interval | p that the means are equal |",
        "|---|---|---|---|---|",
    ]
    for first in (0, 10):
        seeds = range(first, first + 10)
        for measure in MEASURES:
            result = compare(
                of_seeds(trainings["v2"][LIGHTNING.name], seeds),
                of_seeds(trainings["v2"][KERAS.name], seeds),
                measure,
            )
            scale, digits = (PERCENT, 1) if measure is ACCURACY else (1, 3)
            low, high = (f"{scale * end:+.{digits}f}" for end in result.interval)
            lines.append(
                f"| {first} to {first + 9} | {measure.name} | {scale * result.difference:+.{digits}f} | "
                f"{low} to {high} | {result.p_difference:.2g} |"
            )
    stuck = {
        side.name: sum(final_accuracy(each) < NEVER_LEFT_CHANCE for each in trainings["v2"][side.name])
        for side in (KERAS, LIGHTNING)
    }
    seeds = len(trainings["v2"][KERAS.name])
    return [*lines, "", V2_TAIL.format(**stuck, seeds=seeds, limit=NEVER_LEFT_CHANCE)]


def of_seeds(trainings: Sequence[Training], seeds: Iterable[int]) -> list[Training]:
    """Those of the trainings that have one of the seeds."""
    wanted = set(seeds)
    return [training for training in trainings if training.seed in wanted]


def _row(measure: Measure, result: Equivalence) -> str:
    low, high = result.interval
    if measure is ACCURACY:
        shown = (
            f"{result.seeds} | {result.theirs:.1%} | {result.ours:.1%} | "
            f"{PERCENT * result.difference:+.1f} points | "
            f"{PERCENT * low:+.1f} to {PERCENT * high:+.1f} | {PERCENT * result.margin:.0f}"
        )
    else:
        shown = (
            f"{result.seeds} | {result.theirs:.3f} | {result.ours:.3f} | {result.difference:+.3f} | "
            f"{low:+.3f} to {high:+.3f} | {result.margin:.3f}"
        )
    return f"{shown} | {result.p_value:.2g} | {result.power:.0%} | {result.verdict}"


def _pictures() -> list[str]:
    lines = []
    for net in NETS:
        lines += [f"![{net}: loss and accuracy over the epochs, both frameworks](accuracy_{net}.png)", ""]
    return ["Means over the seeds, and the range of all of them:", "", *lines]


def _story(trainings: Trainings) -> list[str]:
    lines = [
        "## v1 < v2 < v3",
        "",
        "Mean final accuracy and its 95% interval:",
        "",
        "| | Keras | Lightning |",
        "|---|---|---|",
    ]
    for net in NETS:
        cells = []
        for side in (KERAS, LIGHTNING):
            middle, low, high = final_interval(trainings[net][side.name])
            cells.append(f"{middle:.1%} ({low:.1%} to {high:.1%})")
        lines.append(f"| {net} | {' | '.join(cells)} |")
    return [*lines, "", f"{_order(trainings)}", ""]


def final_interval(trainings: Sequence[Training]) -> tuple[float, float, float]:
    """Mean final accuracy, lower and upper end of its 95% interval."""
    return mean_interval([final_accuracy(each) for each in trainings])


def is_in_order(trainings: Trainings, side: Side) -> bool:
    """Whether the means of v1, v2, v3 rise."""
    return all(
        final_interval(trainings[lower][side.name])[0] < final_interval(trainings[upper][side.name])[0]
        for lower, upper in pairwise(NETS)
    )


def overlaps(trainings: Trainings, side: Side) -> list[tuple[str, str]]:
    """Which neighbours among v1, v2, v3 have intervals that overlap, or means in falling order."""
    intervals = {net: final_interval(trainings[net][side.name]) for net in NETS}
    return [(lower, upper) for lower, upper in pairwise(NETS) if intervals[lower][2] >= intervals[upper][1]]


def _order(trainings: Trainings) -> str:
    found = [
        f"{lower}'s and {upper}'s in {side.title}"
        for side in (KERAS, LIGHTNING)
        for lower, upper in overlaps(trainings, side)
    ]
    rising = all(is_in_order(trainings, side) for side in (KERAS, LIGHTNING))
    order = "The means are in the log's order in both frameworks" if rising else "The order is NOT the log's"
    return f"{order}; intervals that overlap: {', '.join(found) or 'none'}."


def _what_it_sees(trainings: Trainings) -> list[str]:
    lines = [
        "## What this test sees, and what it does not",
        "",
        "Lightning ports of v3 with one difference left in, against Keras's v3, judged alike:",
        "",
        "| port | seeds | accuracy | 90% interval | verdict | validation loss | 90% interval | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for side in (LIGHTNING, *FAULTY):
        cells = []
        for measure in MEASURES:
            ours = trainings["v3"][side.name]
            theirs = of_seeds(trainings["v3"][KERAS.name], (training.seed for training in ours))
            result = compare(ours, theirs, measure)
            scale, digits = (PERCENT, 1) if measure is ACCURACY else (1, 3)
            low, high = (f"{scale * end:+.{digits}f}" for end in result.interval)
            cells.append(f"{scale * result.difference:+.{digits}f} | {low} to {high} | {result.verdict}")
        title = "no difference left in" if side is LIGHTNING else side.title
        lines.append(f"| {title} | {len(trainings['v3'][side.name])} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "What is called equivalent there, or not shown, this test cannot tell from a faithful port. Both are",
        "caught without it: the optimizer at rung 6 in its first update, start weights by their",
        "distributions (`parity_tests/test_initializers.py`).",
        "",
    ]


def _bands(trainings: Trainings) -> list[str]:
    lines = [
        "## Bands",
        "",
        f"One more training of the same model lies within with probability {BAND_COVERAGE:.1%} (a prediction",
        "interval, from Keras's seeds). `pytest parity_tests` trains one more seed of v3, `-m full` of v1,",
        "on both sides for the first epochs and holds it to their bands; these are the final accuracy's:",
        "",
        "| | Keras's band | Keras's seeds | Lightning's seeds |",
        "|---|---|---|---|",
    ]
    for net in NETS:
        keras, ours = (
            [final_accuracy(each) for each in trainings[net][side.name]] for side in (KERAS, LIGHTNING)
        )
        low, high = band(keras)
        lines.append(
            f"| {net} | {low:.1%} to {high:.1%} | {min(keras):.1%} to {max(keras):.1%} | "
            f"{min(ours):.1%} to {max(ours):.1%} |"
        )
    return [*lines, ""]


def _versions(kept: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in kept["certificate"]["versions"].items())
