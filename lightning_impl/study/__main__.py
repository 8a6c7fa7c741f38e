"""Runs a study and says what came of it: `python -m lightning_impl.study --config mini_class`."""

from __future__ import annotations

import sys
from pathlib import Path

from lightning_impl.study.study_file import read_study, study_names
from parity_common.command_errors import EXIT_FAILED, UserError, run_command
from parity_common.one_line_parser import OneLineParser
from parity_common.processors import granted_processors


def main() -> int:
    parser = OneLineParser(prog="python -m lightning_impl.study", description=__doc__)
    parser.add_argument(
        "-c", "--config", required=True, metavar="NAME", help=f"{', '.join(study_names())}, or a study's file"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="fits at a time (processors / threads)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each fit (1)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the runs lie (runs/NAME)")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="where the result goes (as --out)")
    parser.add_argument("--dry-run", action="store_true", help="show every fit's command and stop")
    arguments = parser.parse_args()
    for name, number in (("--workers", arguments.workers), ("--threads", arguments.threads)):
        if number is not None and number < 1:
            raise UserError(f"{name} is {number}: give 1 or more")
    study = read_study(arguments.config)
    name = arguments.config if arguments.config in study_names() else Path(arguments.config).stem
    out = arguments.out or Path("runs") / name
    report = arguments.report or out
    if arguments.report and not arguments.report.is_dir():
        raise UserError(f"no such folder {report}: make it or give another --report")
    points = list(study.points().values())
    if arguments.dry_run:
        for point in points:
            state = "finished" if point.finished_run(out) else "to do"
            print(f"{state:8}  {point.shown_command(out)}")
        return 0
    from lightning_impl.study.run_points import run_points

    workers = arguments.workers or max(1, granted_processors() // arguments.threads)
    outcome = run_points(points, out, workers, arguments.threads)
    if outcome.failed:
        for failed, error in outcome.failed.items():
            print(f"failed: {failed}: {error}", file=sys.stderr)
        print(
            f"{len(outcome.finished)} of {len(points)} points have finished; the same command tries the "
            "others again",
            file=sys.stderr,
        )
        return EXIT_FAILED
    from lightning_impl.study.closing import close_study

    close_study(study, name, out, report, arguments.threads)
    return 0


if __name__ == "__main__":
    run_command(main)
