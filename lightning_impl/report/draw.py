"""Draws a run folder's pictures from its files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from lightning_impl.report.confusion import draw_confusion, read_confusion
from lightning_impl.report.curves import draw_curves
from parity_common.run_folder import RunFolder, write_atomically

DOTS_PER_INCH = 120


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG, whole or not at all."""
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH))


def draw_run(run: RunFolder) -> list[Path]:
    """Draws curves.png, and confusion.png where the run has got so far.

    Returns:
        The files written.

    Raises:
        UserError: Not a run folder, or a damaged file in it.
    """
    drawn = [run.path / "curves.png"]
    title = f"{run.path.parent.name} {run.path.name}"
    save_figure(draw_curves([("", run.read_metrics())], title), drawn[0])
    if (run.path / "confusion.csv").exists():
        drawn.append(run.path / "confusion.png")
        save_figure(draw_confusion(*read_confusion(run.path / "confusion.csv")), drawn[1])
    return drawn
