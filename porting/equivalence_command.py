"""`python -m porting equivalence OURS THEIRS`: rung 10 for any two sets of runs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.table import Table

from parity_common.command_errors import UserError
from parity_common.whole_tables import whole_console
from porting.accuracy import ACCURACY, MEASURES, Measure, Training, compare, final_accuracy, read_training
from porting.equivalence import SIGNIFICANCE, Equivalence, band

EXIT_NOT_SHOWN = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments, and what runs it."""
    parser.add_argument("ours", type=Path, help="folder under which the port's finished runs lie, one a seed")
    parser.add_argument("theirs", type=Path, help="the same of the Keras runs, with the same seeds")
    parser.add_argument(
        "--margin-points",
        type=float,
        default=3.0,
        metavar="P",
        help="the largest difference in accuracy that counts as none, in percentage points (3); state it "
        "before you train",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints both measures' tests; 0 where all hold, else 1."""
    if not 0 < arguments.margin_points < 100:
        raise UserError(f"--margin-points is {arguments.margin_points}: give points between 0 and 100")
    ours, theirs = find_trainings(arguments.ours), find_trainings(arguments.theirs)
    margin = arguments.margin_points / 100
    accuracy = replace(ACCURACY, margin=lambda theirs: margin)
    measures = [accuracy if measure is ACCURACY else measure for measure in MEASURES]
    results = [(measure, compare(ours, theirs, measure)) for measure in measures]
    _print(results)
    low, high = band([final_accuracy(each) for each in theirs])
    print(f"one more Keras training lies between {low:.1%} and {high:.1%}")
    return 0 if all(result.holds for _, result in results) else EXIT_NOT_SHOWN


def find_trainings(folder: Path) -> list[Training]:
    """The trainings of all finished runs below a folder.

    Raises:
        UserError: No such folder, or no finished run in it.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder {folder}: give the folder under which the runs lie")
    runs = sorted(path.parent for path in folder.rglob("result.json"))
    if not runs:
        raise UserError(f"no finished run (result.json) below {folder}: train first, one run a seed")
    return [read_training(path) for path in runs]


def _print(results: list[tuple[Measure, Equivalence]]) -> None:
    table = Table(box=None, header_style="", pad_edge=False)
    interval = f"{1 - 2 * SIGNIFICANCE:.0%} interval"
    for heading in ("measure", "ours", "theirs", "difference", interval, "margin", "p", "power", ""):
        table.add_column(heading, no_wrap=True)
    for measure, result in results:
        low, high = result.interval
        figures: list[Any] = [
            *(f"{value:.4f}" for value in (result.ours, result.theirs)),
            f"{result.difference:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
            f"{result.margin:.4f}",
            f"{result.p_value:.2g}",
            f"{result.power:.0%}",
        ]
        table.add_row(measure.name, *figures, result.verdict)
    whole_console().print(table)
