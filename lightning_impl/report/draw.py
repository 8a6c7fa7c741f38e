"""Draws a run folder's pictures and its page from its files."""

from __future__ import annotations

import warnings
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from lightning_impl.report.confusion import draw_confusion
from lightning_impl.report.curves import draw_curves
from lightning_impl.report.page import run_page
from lightning_impl.report.run_files import RunFiles
from parity_common.run_folder import RunFolder, remove_leftovers, write_atomically, write_text_atomically

DOTS_PER_INCH = 120


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG, whole or not at all."""
    with warnings.catch_warnings():
        # A class may be named in letters that matplotlib's font lacks: the page has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH))


def draw_run(run: RunFolder) -> list[Path]:
    """Writes report.html, and curves.png and confusion.png where the run has got so far.

    Returns:
        The files written, the page first.

    Raises:
        UserError: Not a run folder, or a damaged file in it.
    """
    files = RunFiles(run)
    remove_leftovers(run.path)
    page, curves, confusion = (run.path / name for name in ("report.html", "curves.png", "confusion.png"))
    write_text_atomically(page, run_page(files))
    drawn = [page]
    # A class may be named $x$: that is no formula.
    with rc_context({"text.parse_math": False}):
        if files.rows:
            title = f"{run.path.parent.name} {run.path.name}"
            save_figure(draw_curves([("", files.rows)], title), curves)
            drawn.append(curves)
        if files.confusion is not None:
            save_figure(draw_confusion(*files.confusion), confusion)
            drawn.append(confusion)
    return drawn
