"""Draws the pictures of runs again: `python -m lightning_impl.report RUN…`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lightning_impl.report.draw import draw_run
from parity_common.command_errors import run_command
from parity_common.run_folder import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lightning_impl.report", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder of either framework")
    for path in parser.parse_args().runs:
        for drawn in draw_run(RunFolder(path)):
            print(drawn)


if __name__ == "__main__":
    run_command(main)
