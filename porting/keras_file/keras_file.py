"""What a Keras model file holds, as one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from porting.graph import Graph, LayerPath
from porting.keras_file.optimizer_state import OptimizerState
from porting.keras_file.stored import StoredArray
from porting.keras_file.training_config import TrainingConfig


@dataclass(frozen=True)
class KerasFile:
    """A Keras model file.

    Attributes:
        path: The file, or the folder of a SavedModel.
        format: In words, such as "HDF5" or "Keras archive".
        keras_version: Of the Keras that wrote it, "1" where an old one did not say.
        backend: "tensorflow", "theano" …; None where the file does not say. Theano's convolutions flip their
            kernels.
        graph: The model.
        weights: Layer to weight name to array, every layer that has any, in the model's order. The names are
            Keras 3's, whichever generation wrote the file; of a class that porting/keras_file/weight_plan.py
            does not list, the file's.
        training: What compile() was given; None where the model was not compiled.
        optimizer: The optimizer's variables; None where none are stored.
    """

    path: Path
    format: str
    keras_version: str
    backend: str | None
    graph: Graph
    weights: Mapping[LayerPath, Mapping[str, StoredArray]]
    training: TrainingConfig | None
    optimizer: OptimizerState | None

    def named_weights(self) -> Iterator[tuple[str, StoredArray]]:
        """Every array as "layer/weight", of inner models "model/layer/weight"."""
        for path, arrays in self.weights.items():
            for name, array in arrays.items():
                yield "/".join((*path, name)), array

    @property
    def parameters(self) -> int:
        """How many numbers the weights are."""
        return sum(array.size for _, array in self.named_weights())
