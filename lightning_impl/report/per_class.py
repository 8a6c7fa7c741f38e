"""Precision, recall and F1 of each class, from a confusion matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class ClassScores(NamedTuple):
    """One class's figures, each in [0, 1].

    Attributes:
        precision: Share of the images taken for this class that are of it; 0 where none was taken for it.
        recall: Share of this class's images that were taken for it; 0 where it has none.
        f1: Harmonic mean of the two; 0 where both are 0.
        support: Number of this class's images.
    """

    precision: float
    recall: float
    f1: float
    support: int


def per_class_table(counts: ArrayLike) -> list[ClassScores]:
    """A row for each class, in the order of `counts`.

    A division by zero gives 0, as scikit-learn's `zero_division=0` has it: a class that was never predicted,
    or has no image, counts as one that was never found.

    Args:
        counts: `(classes, classes)` images by true class (row) and predicted class (column).
    """
    matrix = np.asarray(counts, dtype=np.int64)
    found = np.diagonal(matrix)
    support = matrix.sum(axis=1)
    predicted = matrix.sum(axis=0)
    # F1 = 2 P R / (P + R) = 2 found / (predicted + support).
    precision = found / np.maximum(predicted, 1)
    recall = found / np.maximum(support, 1)
    f1 = 2 * found / np.maximum(predicted + support, 1)
    return [
        ClassScores(float(p), float(r), float(f), int(s))
        for p, r, f, s in zip(precision, recall, f1, support, strict=True)
    ]
