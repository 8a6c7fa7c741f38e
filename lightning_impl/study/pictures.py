"""The curves of an experiment: a colour a variant, a thin line a seed, a thick one their mean."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_impl.study.results import COLUMNS, Results
from lightning_impl.study.study_file import Experiment

PANELS = {"loss": "training loss", "val_loss": "validation loss", "val_accuracy": "validation accuracy"}


def draw_experiment(results: Results, experiment: Experiment) -> Figure:
    """Training loss, validation loss and validation accuracy over the epochs."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    figure.suptitle(experiment.title)
    all_axes = figure.subplots(1, len(PANELS))
    for axes, (column, title) in zip(all_axes, PANELS.items(), strict=True):
        for number, label in enumerate(experiment.variants):
            runs = results.runs_of(experiment, label)
            # `(seeds, epochs)`
            curves = np.array([run["epochs"] for run in runs])[:, :, COLUMNS.index(column)]
            epochs = np.arange(1, curves.shape[1] + 1)
            axes.plot(epochs, curves.T, color=f"C{number}", linewidth=0.6, alpha=0.6)
            axes.plot(epochs, curves.mean(axis=0), color=f"C{number}", linewidth=2, label=label)
        axes.set_xlabel("epoch")
        axes.set_title(title)
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
