"""Rung 10: what trainings from their own random starts come to, over seeds, in both frameworks.

Read from run folders, which both sides leave alike. The measures and margins were set before any training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from parity_common.command_errors import UserError
from parity_common.run_folder import RunFolder
from porting.equivalence import Equivalence, equivalence

FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
# One epoch's validation accuracy scatters; what a training came to is the mean of its last.
FINAL_EPOCHS = 3


@dataclass(frozen=True)
class Training:
    """One seed's training.

    Attributes:
        seed: Of start weights, batch order, dropout and augmentation.
        figures: Each of FIGURES, one value an epoch.
    """

    seed: int
    figures: Mapping[str, tuple[float, ...]]

    @property
    def epochs(self) -> int:
        return len(self.figures["loss"])


def final_accuracy(training: Training) -> float:
    """Mean validation accuracy of the last FINAL_EPOCHS epochs, 0 to 1."""
    return float(np.mean(training.figures["val_accuracy"][-FINAL_EPOCHS:]))


def validation_loss(training: Training) -> float:
    """Mean height of the curve of the validation loss, over all epochs."""
    return float(np.mean(training.figures["val_loss"]))


@dataclass(frozen=True)
class Measure:
    """What two sides are compared by.

    Attributes:
        name: For people.
        of: A training's value.
        margin: The largest difference of means that counts as none, given the other side's mean.
        says: The margin in words.
    """

    name: str
    of: Callable[[Training], float]
    margin: Callable[[float], float]
    says: str


ACCURACY = Measure("final accuracy", final_accuracy, lambda theirs: 0.03, "3 points")
LOSS_CURVE = Measure("validation-loss curve", validation_loss, lambda theirs: 0.05 * theirs, "5% of Keras's")
MEASURES = (ACCURACY, LOSS_CURVE)


def read_training(run: Path) -> Training:
    """What a finished run's folder holds of the training.

    Raises:
        UserError: Not a run folder, not finished, or an epoch without validation.
    """
    if not (run / "result.json").is_file():
        raise UserError(f"{run} has no result.json: the run has not finished")
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        seed = int(config["seed_everything"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run}/config.yaml does not tell the seed ({error}): train again") from error
    rows = RunFolder(run).read_metrics()
    for row in rows:
        if any(row[name] is None for name in FIGURES):
            raise UserError(f"{run}: epoch {row['epoch'] + 1} has no validation: validate after each epoch")
    return Training(seed, {name: tuple(row[name] for row in rows) for name in FIGURES})


def compare(ours: Sequence[Training], theirs: Sequence[Training], measure: Measure) -> Equivalence:
    """Two one-sided tests over the seeds that both sides have.

    Raises:
        UserError: Other seeds or numbers of epochs on either side, or what `equivalence` refuses.
    """
    sides = [{training.seed: training for training in side} for side in (ours, theirs)]
    if len(sides[0]) != len(ours) or len(sides[1]) != len(theirs) or sides[0].keys() != sides[1].keys():
        seeds = " and ".join(str(sorted(training.seed for training in side)) for side in (ours, theirs))
        raise UserError(f"seeds {seeds}: both sides need the same, each once")
    if len({training.epochs for training in (*ours, *theirs)}) != 1:
        raise UserError("the trainings have different numbers of epochs: train all for the same")
    values = [[measure.of(side[seed]) for seed in sorted(side)] for side in sides]
    return equivalence(values[0], values[1], measure.margin(float(np.mean(values[1]))))


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean, and the lower and upper end of its t confidence interval; two values or more."""
    count, middle = len(values), float(np.mean(values))
    half = stats.t.ppf((1 + confidence) / 2, count - 1) * np.std(values, ddof=1) / math.sqrt(count)
    return middle, middle - float(half), middle + float(half)


def to_json(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Plain data, four digits a figure; `from_json` reads it back."""
    return [
        {"seed": each.seed}
        | {name: [float(f"{value:.4g}") for value in each.figures[name]] for name in FIGURES}
        for each in sorted(trainings, key=lambda each: each.seed)
    ]


def from_json(kept: Sequence[Mapping[str, Any]]) -> list[Training]:
    """The inverse of `to_json`."""
    return [Training(each["seed"], {name: tuple(each[name]) for name in FIGURES}) for each in kept]
