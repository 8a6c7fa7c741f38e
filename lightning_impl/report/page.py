"""report.html: a run on one page that needs no network and no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from lightning_impl.report.confusion import most_confused
from lightning_impl.report.curves import PANELS, Runs, draw_panel
from lightning_impl.report.inline_svg import inline_svg
from lightning_impl.report.per_class import per_class_table
from lightning_impl.report.run_files import RunFiles

MOST_CONFUSED_PAIRS = 10
# Shares beyond are drawn so dark that their number has to be light.
DARK_SHARE = 0.5
THUMBNAIL_JPEG_QUALITY = 88


def percent(share: float | None) -> str:
    """`51.5%`; a dash for None."""
    return "–" if share is None else f"{share:.1%}"


def duration(seconds: float | None) -> str:
    """`48 s`, `4.8 min` or `2 h 05 min`; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{seconds / 60:.1f} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def figure(number: float | None, digits: int = 4) -> str:
    """So many significant digits, and commas in large numbers; a dash for None."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.{digits}g}"


def data_uri(image: Image.Image) -> str:
    """A picture as JPEG in an address."""
    written = io.BytesIO()
    image.save(written, format="jpeg", quality=THUMBNAIL_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"


# Names of classes, files and runs are anybody's: everything is escaped that is not Markup.
TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("lightning_impl.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters.update(percent=percent, duration=duration, figure=figure, data_uri=data_uri)


def run_page(files: RunFiles) -> str:
    """The page of one run, as HTML.

    Raises:
        UserError: A damaged file in the folder.
    """
    place = files.run.path.resolve()
    return TEMPLATES.get_template("run.html").render(
        name=place.parent.name,
        started=place.name,
        files=files,
        result=files.result,
        settings=_main_settings(files.config),
        charts=charts([("", files.rows)], 1 / files.classes if files.classes else None),
        confusion=_confusion(files) if files.confusion else None,
    )


def charts(runs: Runs, chance: float | None = None) -> list[tuple[str, Markup]]:
    """Name and SVG of each chart; none where no run has finished an epoch.

    Args:
        runs: Each a label and its rows of metrics.csv.
        chance: Accuracy of a guess, in [0, 1], for a line; None draws none.
    """
    if not any(rows for _, rows in runs):
        return []
    drawn = []
    for panel in PANELS:
        # About as wide as a phone, in points: its text can be read there.
        chart = Figure(figsize=(4.8, 3.1), layout="constrained")
        draw_panel(chart.add_subplot(), panel, runs, chance)
        drawn.append((panel.label, inline_svg(chart, panel.label)))
    return drawn


def _main_settings(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """The settings one asks for first, those that the config has."""
    wanted = ("arch", "profile", "optimizer", "learning_rate"), ("image_size", "batch_size", "expand")
    found = []
    for section, keys in zip(("model", "data"), wanted, strict=True):
        given = config.get(section) or {}
        found += [(key.replace("_", " "), given[key]) for key in keys if given.get(key) is not None]
    return [*found, *((key.replace("_", " "), config[key]) for key in ("seed_everything",) if key in config)]


def _confusion(files: RunFiles) -> dict[str, Any]:
    assert files.confusion is not None
    names, counts = files.confusion
    classes = list(zip(names, per_class_table(counts), strict=True))
    rows = [cells(names, row, true) for true, row in enumerate(counts)]
    images = int(counts.sum())
    return {
        "names": names,
        "rows": list(zip(names, rows, strict=True)),
        "pairs": most_confused(names, counts, MOST_CONFUSED_PAIRS),
        "classes": sorted(classes, key=lambda item: item[1].f1),
        "images": images,
        "correct": int(np.trace(counts)) / max(images, 1),
        "largest_class": int(counts.sum(axis=1).max()) / max(images, 1),
    }


def cells(names: Sequence[str], row: NDArray[np.int64], true: int) -> list[tuple[int, float, str, str]]:
    """A row of the confusion matrix: count, share of the true class, CSS class and what it says in words.

    Args:
        names: In label order.
        row: `(classes,)` images of one true class by predicted class.
        true: Its label.
    """
    images = max(int(row.sum()), 1)
    described = []
    for predicted, count in enumerate(map(int, row)):
        share = count / images
        kind = ("right" if predicted == true else "wrong") + (" dark" if share > DARK_SHARE else "")
        words = f"{names[true]} taken for {names[predicted]}: {count} of {images} ({share:.0%})"
        described.append((count, share, kind, words))
    return described
