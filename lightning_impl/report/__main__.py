"""Makes the pages of runs again: `python -m lightning_impl.report RUN…`.

Each run folder, of either framework, gets its report.html and pictures. Several runs are compared on a page
of their own as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_impl.report.comparison import comparison_page
from lightning_impl.report.draw import draw_run
from lightning_impl.report.run_files import RunFiles
from parity_common.command_errors import UserError, run_command
from parity_common.home_path import home_path
from parity_common.one_line_parser import OneLineParser
from parity_common.run_folder import RunFolder, write_text_atomically
from parity_common.write_errors import NO_SPACE

ELSEWHERE = "copy the run folder to where you may write, and report the copy"


@contextmanager
def writing_in(folder: Path, remedy: str) -> Iterator[None]:
    """Turns the system's refusal to read or write there into one line.

    Raises:
        UserError: Names the folder and the remedy.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            # Its line names the very file.
            raise
        raise UserError(f"cannot write in {folder} ({error.strerror or error}): {remedy}") from error


def main() -> None:
    parser = OneLineParser(prog="python -m lightning_impl.report", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "runs", nargs="+", type=home_path, metavar="RUN", help="a run folder of either framework"
    )
    parser.add_argument(
        "--out", type=home_path, default=None, help="the page that compares several runs (comparison.html)"
    )
    arguments = parser.parse_args()
    if arguments.out is not None and len(arguments.runs) < 2:
        raise UserError("one run alone compares with nothing: leave --out away, or give more runs")
    out = arguments.out or Path("comparison.html")
    if not out.absolute().parent.is_dir():
        raise UserError(f"no such folder {out.parent}: make it or give another --out")
    # All are looked at before anything is written.
    runs = []
    for path in arguments.runs:
        with writing_in(path, ELSEWHERE):
            runs.append(RunFiles(RunFolder(path)))
    for run in runs:
        with writing_in(run.run.path, ELSEWHERE):
            for drawn in draw_run(run.run):
                print(drawn)
    if len(runs) > 1:
        page = comparison_page(runs, out.absolute().parent)
        with writing_in(out.absolute().parent, "give another --out"):
            write_text_atomically(out, page)
        print(out)


if __name__ == "__main__":
    run_command(main)
