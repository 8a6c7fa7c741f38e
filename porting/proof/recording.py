"""Reads what keras_reference/record_file.py wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_reference import record_file
from parity_common.command_errors import UserError
from porting.graph import LayerPath

FLOAT32, FLOAT64 = "float32", "float64"
RANDOM, EXTREME = record_file.RANDOM, record_file.EXTREME


@dataclass(frozen=True)
class Kept:
    """An output, or what is kept of it.

    Attributes:
        values: `(N, places)`; N is 1 of an output that does not begin with the batch.
        norms: `(N,)` of the whole.
    """

    values: np.ndarray
    norms: np.ndarray


class Recording:
    """A folder that the recorder of files wrote.

    Args:
        folder: The folder.

    Attributes:
        said: trace.json.
        seed: Of the inputs.
        calls: Every call of a layer, in the order in which Keras made them.
        layers: Every layer.
        dtypes: "float32", and "float64" where that could be run.
        batches: "random", and "extreme".

    Raises:
        UserError: It is none, or of another schema.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.said: dict[str, Any] = json.loads((folder / record_file.TRACE_FILE).read_text("utf-8"))
            with np.load(folder / record_file.ARRAYS_FILE, allow_pickle=False) as stored:
                numbered = dict(stored)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} holds no recording of a file: {error}") from error
        if self.said.get("schema") != record_file.SCHEMA_VERSION:
            raise UserError(f"{folder} is of schema {self.said.get('schema')}: record it again")
        self._arrays = {name: numbered[place] for name, place in self.said["arrays"].items()}
        self.seed: int = self.said["seed"]
        self.calls: list[dict[str, Any]] = self.said["calls"]
        self.layers: dict[LayerPath, dict[str, Any]] = {
            tuple(layer["path"]): layer for layer in self.said["layers"]
        }
        self.batches: list[str] = self.said["batches"]
        self.dtypes = [FLOAT32] if self.said["no_float64"] else [FLOAT32, FLOAT64]

    @property
    def keras(self) -> str:
        """Its name and version: "tf_keras 2.21.0"."""
        versions = self.said["versions"]
        return f"{versions['keras_package']} {versions['keras']}"

    def inputs(self, batch: str) -> list[np.ndarray]:
        """The model's inputs, float64, in Keras's order of axes."""
        return [self._arrays[f"input/{batch}/{number}"] for number in range(len(self.said["inputs"]))]

    def output(self, dtype: str, batch: str, name: str) -> Kept:
        """What was kept of an output: "conv:0" of a call's first, ":0" of the model's."""
        run = f"{dtype}/{batch}"
        return Kept(self._arrays[f"{run}/value/{name}"], self._arrays[f"{run}/norm/{name}"])

    def gradient(self, dtype: str, path: LayerPath, number: int) -> np.ndarray | None:
        """The gradient of a layer's weight; None where the outputs do not depend on it."""
        return self._arrays.get(f"{dtype}/gradient/{'/'.join(path)}:{number}")

    def input_gradient(self, dtype: str, number: int) -> np.ndarray | None:
        """The gradient of an input; None of whole numbers."""
        return self._arrays.get(f"{dtype}/input_gradient/{number}")

    def cotangent(self, number: int, shape: tuple[int, ...]) -> np.ndarray:
        """What the model's output of that number is weighted with, float64."""
        return record_file.draw_cotangent(self.seed, str(number), shape)

    def keep(self, name: str, array: np.ndarray, batch: int) -> Kept:
        """The port's output, kept as the recorder kept Keras's."""
        rows = record_file.rows_of(array, batch)
        places = record_file.sampled_places(self.seed, name, rows.shape[1], self.said["keep"])
        return Kept(rows[:, places], record_file.norms(rows))
