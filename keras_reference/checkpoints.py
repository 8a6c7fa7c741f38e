"""The two model files a Keras run keeps."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import h5py

from parity_common.command_errors import UserError
from parity_common.run_folder import write_atomically
from parity_common.write_errors import why_not_written

SUFFIX_OF_PROFILE = {"tf2.4": ".h5", "keras3": ".keras"}
"""What a user of the generation saves: HDF5 in 2021, the .keras archive since Keras 3."""


class Checkpoints:
    """best.* and last.* of a run; the earliest epoch of the highest val_accuracy is the best.

    Keras's ModelCheckpoint picks the same epoch, but writes over the good file in place.

    Args:
        folder: Where they lie.
        profile: Decides the format.
    """

    def __init__(self, folder: Path, profile: str) -> None:
        suffix = SUFFIX_OF_PROFILE[profile]
        self.best = folder / f"best{suffix}"
        self.last = folder / f"last{suffix}"
        self.best_row: dict = {}
        self.last_row: dict = {}

    def save(self, model: Any, row: dict) -> None:
        """Saves after an epoch.

        Args:
            model: With the epoch's weights.
            row: The epoch's figures, `epoch` counting from 0.

        Raises:
            UserError: The files cannot be written.
        """
        is_best = not self.best_row or row["val_accuracy"] > self.best_row["val_accuracy"]
        self._write(model, self.last)
        self.last_row = row
        if is_best:
            self._write(model, self.best)
            self.best_row = row

    def save_last(self, model: Any) -> None:
        """Saves once more after the training, which may have ended with other weights than its last epoch's.

        Raises:
            UserError: The file cannot be written.
        """
        self._write(model, self.last)

    def kept(self) -> str:
        """What a run that stops here leaves, for its closing line."""
        if not self.last_row:
            return "no epoch was finished, nothing is kept"
        return f"{self.last} holds epoch {self.last_row['epoch'] + 1}"

    def _write(self, model: Any, path: Path) -> None:
        try:
            save_model(model, path)
        except (OSError, RuntimeError) as error:
            # h5py reports a full disk as either.
            reason = why_not_written(error)
            raise UserError(
                f"could not save {path} ({reason}): free space or choose another --runs; {self.kept()}"
            ) from error


def save_model(model: Any, path: Path) -> None:
    """Saves a model whole or not at all, with its optimizer's state.

    Args:
        model: Of either Keras.
        path: Its suffix tells Keras the format.
    """

    def write(temporary: Path) -> None:
        if path.suffix == ".h5":
            temporary.write_bytes(_hdf5_bytes(model))
            return
        # Keras insists on the suffix, so its file lies beside the temporary until it is whole.
        suffixed = temporary.with_name(temporary.name + path.suffix)
        try:
            model.save(suffixed)
            os.replace(suffixed, temporary)
        finally:
            suffixed.unlink(missing_ok=True)

    write_atomically(path, write)


def _hdf5_bytes(model: Any) -> bytes:
    """A model as HDF5, made in memory: HDF5's library ends the process where it meets a full disk."""
    with h5py.File("in memory", "w", driver="core", backing_store=False) as file:
        with warnings.catch_warnings():
            # tf_keras 2.21 recommends .keras over HDF5, which TF 2.4 did not have.
            warnings.filterwarnings("ignore", message=".*HDF5 file.*", category=UserWarning)
            model.save(file)
        file.flush()
        return file.id.get_file_image()
