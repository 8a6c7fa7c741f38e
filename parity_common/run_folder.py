"""The folder a training leaves behind: one layout, whichever framework trained.

config.yaml       what drives the run, complete; what drove it before --resume changed settings is in
                  config.until-step-N.yaml
metrics.csv       one row an epoch, columns METRIC_COLUMNS
checkpoints/      best.* and last.*

A run that has finished holds further, of its best checkpoint:

confusion.csv     validation images by true class (row) and predicted class (column)
predictions.csv   a row for each validation image: file, true and predicted class, probability
result.json       the closing figures, device and versions; present only when the run has finished
mistakes.png      the most confident mistakes (parity_common/run_pictures.py); absent where nothing is wrong
augmentation.png  training images and what augmentation makes of them; absent where there is none
report.html       the run's page, made from the files above alone
curves.png  confusion.png
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from parity_common.command_errors import UserError
from parity_common.file_modes import give_usual_mode
from parity_common.write_errors import how_to_write, why_not_written

# What the end of a run leaves, the mark that it has finished first.
CLOSING_FILES = (
    "result.json",
    "confusion.csv",
    "predictions.csv",
    "mistakes.png",
    "augmentation.png",
    "report.html",
    "curves.png",
    "confusion.png",
)
# The end of a temporary's name.
PART = ".part"
METRIC_COLUMNS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a temporary name beside `path`, then moves the whole file into place.

    Whatever stops it, `path` is the old file or the new one. The temporary lies in the same folder,
    since a move between file systems is a copy that can be cut short.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        with suppress(OSError):
            # Says that the writer lives; see remove_leftovers.
            fcntl.flock(handle, fcntl.LOCK_EX)
        write(Path(temporary))
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        give_usual_mode(Path(temporary))
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            # A write that fails names no file, and the temporary's name says nothing.
            error.filename = str(path)
        raise
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Removes what killed calls of `write_atomically` have left in a folder; a live one's stays."""
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError), part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Keras insists on a suffix of its own.
            for path in (part, *folder.glob(f"{part.name}.*")):
                path.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """`write_atomically` for a text in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_run_file(path: Path, write: Callable[[Path], object]) -> None:
    """`write_atomically` for a file that lies in a run folder itself.

    Raises:
        UserError: It cannot be written; the line says what of the run is kept.
    """
    try:
        write_atomically(path, write)
    except OSError as error:
        raise not_written(path, error) from error


def not_written(path: Path, error: OSError) -> UserError:
    """The line for a file of a run folder that cannot be written: what is kept, and how it goes on."""
    run = RunFolder(path.parent)
    line = f"could not write {path} ({why_not_written(error)})"
    if (run.checkpoints / "last.ckpt").exists():
        again = f"python -m lightning_impl.fit --resume {run.path}"
        return UserError(f"{line}: {run.checkpoints} is kept: {how_to_write(error)}, then go on with {again}")
    kept = f"{run.checkpoints} is kept" if any(run.checkpoints.glob("*")) else "no checkpoint is there yet"
    return UserError(f"{line}: {kept}: {how_to_write(error)} or choose another --runs, and start again")


class RunFolder:
    """One training's folder.

    Args:
        path: The folder, which exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"

    @classmethod
    def create(cls, parent: Path, name: str) -> RunFolder:
        """Makes `parent/name/DATE-TIME`, never one that was there: starts in the same second get a suffix.

        Raises:
            UserError: The folder cannot be written.
        """
        started = time.strftime("%Y%m%d-%H%M%S")
        try:
            (parent / name).mkdir(parents=True, exist_ok=True)
            for attempt in range(1, 1000):
                path = parent / name / (started if attempt == 1 else f"{started}-{attempt}")
                try:
                    path.mkdir()
                except FileExistsError:
                    continue
                run = cls(path)
                run.checkpoints.mkdir()
                return run
        except OSError as error:
            raise UserError(
                f"cannot write a run folder in {parent / name} ({error.strerror}): choose another --runs"
            ) from error
        raise UserError(f"{parent / name} holds 999 runs of this second: use another --runs")

    def reopen(self) -> None:
        """Takes away what the end of a run has left: a run that goes on has not finished."""
        for name in CLOSING_FILES:
            (self.path / name).unlink(missing_ok=True)

    def write_config(self, text: str) -> None:
        """config.yaml of a new run.

        Raises:
            UserError: It cannot be written.
        """
        self._write_text("config.yaml", text)

    def change_config(self, text: str, step: int) -> None:
        """Replaces config.yaml for a run that goes on with other settings, and keeps the former one.

        Args:
            text: The new config.
            step: Training steps that the former one has driven.
        """
        path = self.path / "config.yaml"
        former = path.read_text(encoding="utf-8")
        kept = self.path / f"config.until-step-{step}.yaml"
        # One that is there already drove these steps: what followed it was killed before its first save.
        if former != text and not kept.exists():
            self._write_text(kept.name, former)
        self._write_text(path.name, text)

    def _write_text(self, name: str, text: str) -> None:
        write_run_file(self.path / name, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def append_metrics(self, row: dict[str, float | int | None]) -> None:
        """Adds one epoch's row to metrics.csv, the header first. A cut-off last row is mended on reading.

        Raises:
            UserError: There is no room for it, and the file is as it was.
        """
        path = self.path / "metrics.csv"
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, METRIC_COLUMNS, restval="", lineterminator="\n")
                if not size:
                    writer.writeheader()
                writer.writerow({key: value for key, value in row.items() if value is not None})
        except OSError as error:
            if path.exists():
                os.truncate(path, size)
            raise not_written(path, error) from error

    def drop_metrics_from(self, epoch: int) -> None:
        """Cuts metrics.csv back to the epochs before `epoch`, for a run that goes on from there."""
        if not (self.path / "metrics.csv").exists():
            return
        kept = [row for row in self.read_metrics() if row["epoch"] < epoch]
        lines = [",".join(METRIC_COLUMNS)]
        for row in kept:
            lines.append(",".join("" if row[name] is None else repr(row[name]) for name in METRIC_COLUMNS))
        write_text_atomically(self.path / "metrics.csv", "\n".join(lines) + "\n")

    def read_metrics(self) -> list[dict]:
        """metrics.csv as one dict an epoch; numbers as float, `epoch` as int, an empty field as None.

        Raises:
            UserError: No such file, or not this layout.
        """
        path = self.path / "metrics.csv"
        try:
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                if tuple(reader.fieldnames or ()) != METRIC_COLUMNS:
                    raise UserError(f"{path} does not have the columns of a run: {', '.join(METRIC_COLUMNS)}")
                rows = list(reader)
            return [_numbers(row) for row in rows if None not in row.values()]
        except FileNotFoundError as error:
            raise UserError(f"{self.path} is not a run folder: it has no metrics.csv") from error
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror}): mend its permissions") from error
        except (ValueError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is damaged ({error}): mend the row or remove the file") from error

    def write_confusion(self, class_names: Sequence[str], labels: ArrayLike, predicted: ArrayLike) -> None:
        """confusion.csv: how often each true class (row) was taken for each class (column).

        Args:
            class_names: In label order.
            labels: `(N,)` true class numbers.
            predicted: `(N,)` predicted class numbers.
        """
        classes = len(class_names)
        pairs = np.asarray(labels, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
        counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

        def write(temporary: Path) -> None:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(["true \\ predicted", *class_names])
                for name, row in zip(class_names, counts, strict=True):
                    writer.writerow([name, *(int(count) for count in row)])

        write_run_file(self.path / "confusion.csv", write)

    def write_result(self, result: dict) -> None:
        """result.json, after every other file of data: its presence says that the run finished."""
        self._write_text("result.json", json.dumps(result, indent=2) + "\n")


def _numbers(row: dict[str, str]) -> dict:
    numbers: dict = {name: float(text) if text else None for name, text in row.items()}
    numbers["epoch"] = int(row["epoch"])
    return numbers
