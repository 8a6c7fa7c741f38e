"""predictions.csv of a run folder: what the best checkpoint takes each validation image for."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from parity_common.command_errors import UserError
from parity_common.run_folder import write_run_file


class Prediction(NamedTuple):
    """One validation image.

    Attributes:
        file: Its path below the folder of class folders.
        true: Its class's name.
        predicted: The most probable class's name.
        probability: Of that class, in [0, 1].
    """

    file: str
    true: str
    predicted: str
    probability: float


def write_predictions(
    path: Path, class_names: Sequence[str], files: Sequence[str], labels: ArrayLike, probabilities: ArrayLike
) -> list[Prediction]:
    """Writes a row for each image, in the order given, and gives them as they read back.

    Args:
        path: The file.
        class_names: In label order.
        files: N paths below the folder of class folders.
        labels: `(N,)` true class numbers.
        probabilities: `(N, classes)` in [0, 1].
    """
    of_classes = np.asarray(probabilities)

    def write(temporary: Path) -> None:
        # A file name need not be UTF-8: what is not must not cost the run.
        with temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(Prediction._fields)
            for name, label, row in zip(files, np.asarray(labels), of_classes, strict=True):
                predicted = int(row.argmax())
                writer.writerow([name, class_names[label], class_names[predicted], f"{row[predicted]:.6f}"])

    write_run_file(path, write)
    return read_predictions(path)


def read_predictions(path: Path) -> list[Prediction]:
    """The rows of a predictions.csv.

    Raises:
        UserError: Not such a file.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        if tuple(header) != Prediction._fields:
            raise ValueError(f"its columns are not {', '.join(Prediction._fields)}")
        return [
            Prediction(name, true, predicted, float(probability))
            for name, true, predicted, probability in rows
        ]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} does not hold predictions ({error}): remove it and run again") from error


def most_confident_mistakes(predictions: Sequence[Prediction], most: int) -> list[int]:
    """Places of the wrong predictions, the most probable first, ties in the order of the images.

    Args:
        predictions: Of one run.
        most: How many at most.
    """
    wrong = [place for place, row in enumerate(predictions) if row.predicted != row.true]
    return sorted(wrong, key=lambda place: -predictions[place].probability)[:most]
