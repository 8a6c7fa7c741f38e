"""Draws the curves of several runs in one picture: `python -m lightning_impl.compare RUN RUN`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lightning_impl.report.curves import draw_curves
from lightning_impl.report.draw import save_figure
from parity_common.command_errors import UserError, run_command
from parity_common.run_folder import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lightning_impl.compare", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders of either framework")
    parser.add_argument(
        "--out", type=Path, default=Path("comparison.png"), help="the picture (comparison.png)"
    )
    arguments = parser.parse_args()
    if len(arguments.runs) < 2:
        raise UserError("one run alone compares with nothing: give two or more run folders")
    runs = [(_label(RunFolder(path)), RunFolder(path).read_metrics()) for path in arguments.runs]
    for (label, rows), path in zip(runs, arguments.runs, strict=True):
        if not rows:
            raise UserError(f"{path} has no finished epoch yet")
        best = max(row["val_accuracy"] for row in rows)
        print(f"{label:40}  best validation accuracy {best:.1%} in {len(rows)} epochs")
    if not arguments.out.absolute().parent.is_dir():
        raise UserError(f"no such folder {arguments.out.parent}: make it or give another --out")
    save_figure(draw_curves(runs, " against ".join(label for label, _ in runs)), arguments.out)
    print(arguments.out)


def _label(run: RunFolder) -> str:
    """Framework, config and start time, e.g. `keras v3 20210501-101500`."""
    result = run.path / "result.json"
    framework = json.loads(result.read_text())["framework"] if result.exists() else "unfinished"
    place = run.path.resolve()
    return f"{framework} {place.parent.name} {place.name}"


if __name__ == "__main__":
    run_command(main)
