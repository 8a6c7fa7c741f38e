"""docs/differences.md: the registry in words, and the table of seeded faults and what caught each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from porting.case import RUNG_NUMBERS, Case, RungResult
from porting.difference import Difference
from porting.differences import DIFFERENCES
from porting.replay import run
from porting.trace import Trace
from porting.training import fresh_net
from porting.weights import TransferError

# What other tools compare: the final output by allclose, its mean, and its sorted values (MMdnn's criterion,
# a relative difference below 0.15).
ALLCLOSE = 1e-5
SORTED_RELATIVE = 0.15

HEAD = """\
# The differences between Keras and torch

Made from porting/differences.py and from what the tests found
(`pytest parity_tests/test_differences.py -m full --write-pages`): do not edit it by hand.

Keras 3.15 and tf_keras 2.21 (with its legacy optimizers, for TF 2.4), torch 2.15. What was read in a source
is named with it; what a fault does was measured. Numbers that are missing belong to the reading of model
files and come with it.

## Seeded faults

Each difference is put into a port that is right otherwise, in each profile and precision in which it exists,
and the ladder climbed (`python -m porting audit`). Beside it stands what a look at the final output alone
says of the same port with the same weights: `allclose(1e-5)`, a comparison of means to 1e-5, and sorted
outputs within 15% (MMdnn's criterion). None of these looks at images on their way to the net: faults of
rung 8 count as missed.

| | difference | caught at rung | allclose | means | sorted |
|---|---|---|---|---|---|"""
TAIL = """
{} faults (difference x profile x precision): the ladder catches {}, allclose {}, means {}, sorted outputs
{}. A training that goes wrong leaves no mark in the output of the untrained net, which is why comparing
outputs after a conversion proves so little of it."""


@dataclass(frozen=True)
class Caught:
    """What became of one fault in one profile and dtype.

    Attributes:
        rung: The rung that parted, or "" for none.
        layer: Where.
        allclose: Whether a final-output allclose(1e-5) catches it.
        mean: Whether a comparison of the outputs' means does.
        sorted_outputs: Whether MMdnn's criterion does.
    """

    rung: str
    layer: str
    allclose: bool
    mean: bool
    sorted_outputs: bool


def outcome(trace: Trace, case: Case, results: list[RungResult]) -> Caught:
    """What the ladder found of a fault, beside what a look at the final output alone would have."""
    last = results[-1]
    try:
        net = fresh_net(case.module, trace).to(getattr(torch, trace.dtype)).eval()
        ours = run(net, trace).outputs.get(trace.outputs[0])
    except TransferError:
        # A port that cannot take the weights has no output: nobody would go on with it.
        ours = None
    theirs = trace.kept(f"activation/{trace.outputs[0]}")
    if ours is None or ours.shape != theirs.shape:
        alone = (True, True, True)
    else:
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        pairs = np.sort(ours.ravel()), np.sort(theirs.ravel())
        alone = (
            not np.allclose(ours, theirs, rtol=ALLCLOSE, atol=ALLCLOSE),
            abs(float(ours.mean() - theirs.mean())) > ALLCLOSE,
            float(np.max(np.abs(pairs[0] - pairs[1]) / np.abs(pairs[1]))) > SORTED_RELATIVE,
        )
    return Caught("" if last.holds else last.name, "" if last.holds else last.layer, *alone)


def page(found: Mapping[tuple[str, str, str], Caught]) -> str:
    """The page as Markdown.

    Args:
        found: By number, profile and dtype.
    """
    lines = [HEAD]
    lines += [_row(each, found) for each in DIFFERENCES]
    total = list(found.values())
    caught = sum(bool(each.rung) for each in total)
    counts = [sum(getattr(each, name) for each in total) for name in ("allclose", "mean", "sorted_outputs")]
    lines.append(TAIL.format(len(total), caught, *counts))
    for each in DIFFERENCES:
        lines += [
            "",
            f"## {each.number} {each.title}",
            "",
            f"**Keras:** {each.keras}",
            "",
            f"**torch:** {each.torch}",
        ]
        lines += ["", f"**Here:** {each.remedy}."]
        if each.source != "-":
            lines += ["", f"**Source:** {each.source}."]
        if each.note:
            lines += ["", each.note]
    return "\n".join(lines) + "\n"


def _row(difference: Difference, found: Mapping[tuple[str, str, str], Caught]) -> str:
    name = f"| [{difference.number}](#{_anchor(difference)}) | {difference.title} |"
    outcomes = [each for key, each in found.items() if key[0] == difference.number]
    if not outcomes:
        return f"{name} no fault of a port: see below | – | – | – |"
    rungs = sorted({each.rung or "NOT CAUGHT" for each in outcomes})
    numbered = ", ".join(f"{RUNG_NUMBERS.get(rung, '')} {rung}".strip() for rung in rungs)
    marks = [
        _of(sum(getattr(each, column) for each in outcomes), len(outcomes))
        for column in ("allclose", "mean", "sorted_outputs")
    ]
    return f"{name} {numbered} ({len(outcomes)} of {len(outcomes)}) | {' | '.join(marks)} |"


def _of(caught: int, total: int) -> str:
    return {0: "missed", total: "caught"}.get(caught, f"{caught} of {total}")


def _anchor(difference: Difference) -> str:
    words = f"{difference.number} {difference.title}".lower()
    return "".join(letter for letter in words.replace(" ", "-") if letter.isalnum() or letter in "-_")
