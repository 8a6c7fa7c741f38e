"""What a study reads off a run: one number from the rows of its metrics.csv."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lightning_impl.study.study_file import MEASURES
from parity_common.command_errors import UserError

Rows = Sequence[Mapping[str, float]]


def measure(name: str, rows: Rows) -> float:
    """A run's measure of study.yaml.

    Args:
        name: One of MEASURES.
        rows: One an epoch, with loss, val_loss and val_accuracy.

    Raises:
        UserError: The run has too few epochs for it.
    """
    rule, least_epochs = RULES[name]
    if len(rows) < least_epochs:
        raise UserError(
            f"{name} needs {least_epochs} epochs, the runs have {len(rows)}: raise trainer.max_epochs"
        )
    return float(rule(rows))


def best_accuracy(rows: Rows) -> float:
    """The highest validation accuracy."""
    return max(row["val_accuracy"] for row in rows)


def early_accuracy(rows: Rows) -> float:
    """The validation accuracy after a third of the epochs, rounded up."""
    return rows[math.ceil(len(rows) / 3) - 1]["val_accuracy"]


def last_loss(rows: Rows) -> float:
    """The validation loss of the last epoch."""
    return rows[-1]["val_loss"]


def early_fall(rows: Rows) -> float:
    """The training loss of the first epoch less that of the second."""
    return rows[0]["loss"] - rows[1]["loss"]


def swing(rows: Rows) -> float:
    """How far validation accuracy is off the middle of its neighbours, averaged over the epochs between.

    A steady rise or fall, however steep, has none.
    """
    accuracy = np.array([row["val_accuracy"] for row in rows])
    return np.abs(accuracy[1:-1] - (accuracy[:-2] + accuracy[2:]) / 2).mean()


def late_swing(rows: Rows) -> float:
    """`swing` over the second half of the epochs."""
    return swing(rows[len(rows) // 2 :])


# And the fewest epochs that give it a meaning.
RULES: dict[str, tuple[Callable[[Rows], float], int]] = {
    "best_accuracy": (best_accuracy, 1),
    "early_accuracy": (early_accuracy, 3),
    "last_loss": (last_loss, 1),
    "early_fall": (early_fall, 2),
    "swing": (swing, 3),
    "late_swing": (late_swing, 6),
}
assert tuple(RULES) == MEASURES
