"""Loss and accuracy over the epochs, training and validation, of one run or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Up to so many epochs each is marked: a single one has no line.
MOST_MARKED_EPOCHS = 30


class Panel(NamedTuple):
    """One chart.

    Attributes:
        label: Of its axis.
        training: Column of metrics.csv.
        validation: Column of metrics.csv.
    """

    label: str
    training: str
    validation: str


PANELS = (Panel("loss", "loss", "val_loss"), Panel("accuracy", "accuracy", "val_accuracy"))
Runs = Sequence[tuple[str, Sequence[dict]]]


def draw_panel(axes: Axes, panel: Panel, runs: Runs, chance: float | None = None) -> None:
    """One chart; validation drawn full, training dashed, a colour a run.

    Args:
        axes: Where to draw.
        panel: What to draw.
        runs: Each a label and its rows of metrics.csv.
        chance: Accuracy of a guess, in [0, 1], for a dotted line; None draws none.
    """
    for number, (name, rows) in enumerate(runs):
        epochs = [row["epoch"] + 1 for row in rows]
        marker = "o" if len(rows) <= MOST_MARKED_EPOCHS else ""
        for column, line, part in ((panel.training, "--", "training"), (panel.validation, "-", "validation")):
            values = [row[column] for row in rows]
            label = f"{name} {part}".strip()
            axes.plot(epochs, values, line, color=f"C{number}", label=label, marker=marker, markersize=3)
    axes.set_xlabel("epoch")
    axes.set_ylabel(panel.label)
    axes.grid(alpha=0.3)
    if panel.label == "accuracy":
        axes.set_ylim(0, 1)
        if chance is not None:
            axes.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_curves(runs: Runs, title: str) -> Figure:
    """Both charts side by side, with a legend.

    Args:
        runs: Each a label and its rows of metrics.csv.
        title: Above both.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(title)
    for place, panel in enumerate(PANELS, start=1):
        axes = figure.add_subplot(1, 2, place)
        draw_panel(axes, panel, runs)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
