"""Curves of many seeds of several sides: means, and the range of all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lightning_impl.report.curves import PANELS

Curves = Mapping[str, NDArray[np.float64]]


def draw_seed_curves(sides: Mapping[str, Curves], title: str) -> Figure:
    """Two panels, loss and accuracy; validation full with its range shaded, training dashed.

    Args:
        sides: By a side's name, each column of PANELS to its values `(seeds, epochs)`.
        title: Above both panels.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(title)
    for place, (label, training, validation) in enumerate(PANELS, start=1):
        axes = figure.add_subplot(1, 2, place)
        for number, (side, curves) in enumerate(sides.items()):
            epochs = np.arange(1, curves[training].shape[1] + 1)
            axes.plot(epochs, curves[training].mean(0), "--", color=f"C{number}", label=f"{side} training")
            values = curves[validation]
            axes.plot(epochs, values.mean(0), "-", color=f"C{number}", label=f"{side} validation")
            axes.fill_between(epochs, values.min(0), values.max(0), color=f"C{number}", alpha=0.15, lw=0)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        if label == "accuracy":
            axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
