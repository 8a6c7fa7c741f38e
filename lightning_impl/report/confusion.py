"""The confusion matrix: counts, picture, and what it says first."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from parity_common.command_errors import UserError

# Above this many classes the counts no longer fit their cells.
MOST_CLASSES_WITH_NUMBERS = 40
# Longer names would leave the matrix no room in the picture.
MOST_NAME_CHARACTERS = 24


def read_confusion(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Class names and counts of a run's confusion.csv.

    Raises:
        UserError: Not such a file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file))
        counts = np.array([[int(count) for count in row[1:]] for row in rows], dtype=np.int64)
        if counts.shape != (len(header) - 1,) * 2:
            raise ValueError(f"{counts.shape} counts under {len(header) - 1} names")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a confusion matrix ({error}): remove it and run again") from error
    return header[1:], counts


class ConfusedPair(NamedTuple):
    """How often one class is taken for another.

    Attributes:
        true: The class's name.
        predicted: What it is taken for.
        images: How many of them.
        share: Of the true class's images, in [0, 1].
    """

    true: str
    predicted: str
    images: int
    share: float


def most_confused(class_names: Sequence[str], counts: NDArray[np.int64], most: int) -> list[ConfusedPair]:
    """The pairs of classes with the most mistakes, the most first, ties in label order.

    Args:
        class_names: In label order.
        counts: `(classes, classes)` images by true class (row) and predicted class (column).
        most: How many pairs at most.
    """
    wrong = counts - np.diag(np.diagonal(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = []
    for true, predicted in zip(*np.unravel_index(order, counts.shape), strict=True):
        count = int(wrong[true, predicted])
        if count:
            share = count / int(counts[true].sum())
            pairs.append(ConfusedPair(class_names[true], class_names[predicted], count, share))
    return pairs


def draw_confusion(class_names: Sequence[str], counts: NDArray[np.int64]) -> Figure:
    """Row shares as shades of blue, counts as numbers where they are not zero."""
    classes = len(class_names)
    side = max(4.0, 0.34 * classes + 2)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    most = MOST_NAME_CHARACTERS
    labels = [name if len(name) <= most else f"{name[: most - 1]}…" for name in class_names]
    axes.set_xticks(range(classes), labels, rotation=90)
    axes.set_yticks(range(classes), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    correct = np.trace(counts) / max(counts.sum(), 1)
    axes.set_title(f"validation, best epoch: {correct:.1%} of {counts.sum()} images correct")
    if classes <= MOST_CLASSES_WITH_NUMBERS:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(
                column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=colour
            )
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.04)
    return figure
