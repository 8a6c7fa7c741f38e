"""Reads a trace: what a Keras model did, written by keras_reference/record.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parity_common.command_errors import UserError
from porting.trace_folder import MODEL, TraceFolder


@dataclass(frozen=True)
class KerasWeight:
    """One weight of a layer.

    Attributes:
        name: Keras's short name, such as "kernel".
        shape: In Keras's order.
        trainable: Whether Keras trains it.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool


@dataclass(frozen=True)
class KerasLayer:
    """One layer as Keras describes it.

    Attributes:
        name: Its name in the model.
        class_name: Such as "Conv2D".
        output_shape: Channels last, the batch axis None.
        trainable_parameters: How many numbers are trained.
        non_trainable_parameters: How many are not.
        weights: In Keras's order.
        inputs: The layers, or the model's inputs, whose outputs it takes.
        activation: The name of the function it ends in, such as "linear"; None where it has none.
    """

    name: str
    class_name: str
    output_shape: tuple[int | None, ...]
    trainable_parameters: int
    non_trainable_parameters: int
    weights: tuple[KerasWeight, ...]
    inputs: tuple[str, ...] = ()
    activation: str | None = None


@dataclass(frozen=True)
class Training:
    """What a recorded training was: `model.compile`'s and `model.fit`'s arguments, and how far it came.

    Attributes:
        optimizer: {"class", "config"} as Keras gives them.
        loss: {"name": in snake case, "config"}.
        metrics: Their names, without the loss.
        targets: "labels", "one_hot" or "binary": how the loss takes them.
        batch: Examples a step.
        epochs: How many were asked for.
        class_weight: By label, or None.
        callbacks: {"class", "config"} each, in Keras's order.
        regularizers: {"class", "config"} by "layer/weight".
        constraints: The same.
        dropout: {"rate", "shape"} by layer; the shape of the mask for a full batch.
        steps: How many were made.
        epochs_run: How many epochs were begun and ended.
        steps_per_epoch: The last may be a short batch.
        update_steps: The first steps recorded whole, with gradients and slots.
        at_steps: Later steps whose parameters, statistics and slots are recorded.
    """

    optimizer: dict[str, Any]
    loss: dict[str, Any]
    metrics: list[str]
    targets: str
    batch: int
    epochs: int
    class_weight: dict[str, float] | None
    callbacks: list[dict[str, Any]]
    regularizers: dict[str, dict[str, Any]]
    constraints: dict[str, dict[str, Any]]
    dropout: dict[str, dict[str, Any]]
    steps: int
    epochs_run: int
    steps_per_epoch: int
    update_steps: int
    at_steps: list[int]


class Weights(Mapping[str, np.ndarray]):
    """The weights of a trace, `"conv1/kernel"` to the array in Keras's order; drawn or read when asked."""

    PREFIX = "weights/"

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._names = [name for name in trace.entries if name.startswith(self.PREFIX)]

    def __getitem__(self, name: str) -> np.ndarray:
        if self.PREFIX + name not in self._names:
            raise KeyError(name)
        return self._trace.array(self.PREFIX + name)

    def __iter__(self) -> Iterator[str]:
        return (name[len(self.PREFIX) :] for name in self._names)

    def __len__(self) -> int:
        return len(self._names)


class Trace(TraceFolder):
    """A trace folder of a model.

    Args:
        folder: Holds trace.json and arrays.npz.

    Attributes:
        metadata: trace.json as it stands.
        entries: What is said of each array, by logical name.
        layers: In Keras's order, without the inputs.
        weights: By "layer/weight".
        training: What is said of the recorded training, or None.

    Raises:
        UserError: The folder is missing, damaged, or of a newer schema.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__(folder)
        if self.kind != MODEL:
            raise UserError(f"{self.folder} records {self.kind}, no model: give --images FOLDER, not --port")
        try:
            self.dtype: str = self.metadata["dtype"]
            self.model_name: str = self.metadata["model"]["name"]
            self.input_shapes = [tuple(each["shape"]) for each in self.metadata["inputs"]]
            self.input_names: list[str] = [each["array"] for each in self.metadata["inputs"]]
            self.outputs: list[str] = self.metadata["outputs"]
            self.layers = tuple(_layer(described) for described in self.metadata["layers"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{self._path} is damaged: it lacks {error}; record the trace again") from error
        self.weights = Weights(self)
        self.training: Training | None = _training(self.metadata.get("training"), self._path)

    def layer(self, name: str) -> KerasLayer:
        """The layer of that name.

        Raises:
            KeyError: There is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)


def training_of(trace: Trace) -> Training:
    """The trace's training.

    Raises:
        UserError: It records none.
    """
    if trace.training is None:
        raise UserError(f"{trace.folder} records no training: record it with --epochs")
    return trace.training


def _training(described: dict[str, Any] | None, path: Path) -> Training | None:
    if described is None:
        return None
    try:
        return Training(**described)
    except TypeError as error:
        raise UserError(f"{path} is damaged ({error}): record the trace again") from error


def _layer(described: dict[str, Any]) -> KerasLayer:
    return KerasLayer(
        name=described["name"],
        class_name=described["class"],
        output_shape=tuple(described["output_shape"]),
        trainable_parameters=described["trainable_parameters"],
        non_trainable_parameters=described["non_trainable_parameters"],
        weights=tuple(
            KerasWeight(weight["name"], tuple(weight["shape"]), weight["trainable"])
            for weight in described["weights"]
        ),
        inputs=tuple(described.get("inputs", ())),
        activation=described.get("activation"),
    )
