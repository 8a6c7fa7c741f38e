"""Loss and accuracy over the epochs, training and validation, of one run or several."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# (column in training, column in validation, axis label)
PANELS = (("loss", "val_loss", "loss"), ("accuracy", "val_accuracy", "accuracy"))


def draw_curves(runs: Sequence[tuple[str, Sequence[dict]]], title: str) -> Figure:
    """Two panels, loss and accuracy; validation drawn full, training dashed, a colour a run.

    Args:
        runs: Each a label and its rows of metrics.csv.
        title: Above both panels.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(title)
    for place, (training, validation, label) in enumerate(PANELS, start=1):
        axes = figure.add_subplot(1, 2, place)
        for number, (name, rows) in enumerate(runs):
            epochs = [row["epoch"] + 1 for row in rows]
            for column, line, part in ((training, "--", "training"), (validation, "-", "validation")):
                values = [row[column] for row in rows]
                axes.plot(epochs, values, line, color=f"C{number}", label=f"{name} {part}".strip())
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        if label == "accuracy":
            axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
