"""Reads a trace: what a Keras model did, written by keras_reference/record.py."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_reference import record
from parity_common.command_errors import UserError, did_you_mean

# How an array of which only seeded places are kept is stored: of each example, or of the whole.
_SAMPLED = ("sampled", "sampled-anywhere")


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


class Trace:
    """A trace folder.

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
        self.folder = Path(folder)
        self._path = self.folder / record.TRACE_FILE
        self.metadata = self._read_metadata()
        self._check_schema()
        try:
            self.profile: str = self.metadata["profile"]
            self.dtype: str = self.metadata["dtype"]
            self.seed: int = self.metadata["seed"]
            self.model_name: str = self.metadata["model"]["name"]
            self.input_shapes = [tuple(each["shape"]) for each in self.metadata["inputs"]]
            self.input_names: list[str] = [each["array"] for each in self.metadata["inputs"]]
            self.outputs: list[str] = self.metadata["outputs"]
            self.entries: dict[str, dict[str, Any]] = self.metadata["arrays"]
            self.layers = tuple(_layer(described) for described in self.metadata["layers"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{self._path} is damaged: it lacks {error}; record the trace again") from error
        self.weights = Weights(self)
        self.training: Training | None = _training(self.metadata.get("training"), self._path)
        self._stored = self._read_arrays()

    def array(self, name: str) -> np.ndarray:
        """An array that is stored whole, or drawn again from its seed.

        Raises:
            UserError: No such array, only a sample of it is stored, or drawing it gives other numbers than
                it gave when it was recorded.
        """
        entry = self._entry(name)
        if entry["stored"] == "full":
            return self._stored[name]
        if entry["stored"] != "seed":
            raise UserError(f"{self._path} holds {name} {entry['stored']}: record it with --keep full")
        try:
            array = record.draw(entry["rule"], entry["seed"], name, entry["shape"], entry["dtype"])
        except (KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{self._path}: {name} cannot be drawn ({error}): record the trace again"
            ) from error
        if record.checksum(array) != entry.get("sha256"):
            raise UserError(
                f"{self._path}: {name} drawn from its seed is not what was recorded: record the trace again"
            )
        return array

    def kept(self, name: str) -> np.ndarray:
        """What the trace keeps of an array: all of it, or of a sampled one `(N, places)` or `(places,)`."""
        return self._stored[name] if self._entry(name)["stored"] in _SAMPLED else self.array(name)

    def names(self, prefix: str) -> list[str]:
        """The arrays whose name starts with `prefix`, without it, in the order of recording."""
        return [name[len(prefix) :] for name in self.entries if name.startswith(prefix)]

    def keep_same(self, name: str, array: np.ndarray) -> np.ndarray:
        """Takes from our `array` `(N, ...)` the places that `kept` has of Keras's.

        An array of another shape is returned as it is, for the comparison to refuse.
        """
        entry = self._entry(name)
        if entry["stored"] not in _SAMPLED or list(array.shape) != entry["shape"]:
            return array
        if entry["stored"] == "sampled-anywhere":
            return record.sample_anywhere(array, entry["seed"], name, entry["places"])
        return record.sample(array, entry["seed"], name, entry["places_per_example"])

    def place_of(self, name: str, index: tuple[int, ...]) -> tuple[int, ...]:
        """The index in the whole array of an index into what `kept` gives."""
        entry = self._entry(name)
        if entry["stored"] not in _SAMPLED:
            return index
        if entry["stored"] == "sampled-anywhere":
            places = record.sampled_places(entry["seed"], name, math.prod(entry["shape"]), entry["places"])
            return tuple(int(place) for place in np.unravel_index(int(places[index[0]]), entry["shape"]))
        example_shape = entry["shape"][1:]
        places = record.sampled_places(
            entry["seed"], name, math.prod(example_shape), entry["places_per_example"]
        )
        inside = np.unravel_index(int(places[index[1]]), example_shape)
        return (index[0], *(int(position) for position in inside))

    def layer(self, name: str) -> KerasLayer:
        """The layer of that name.

        Raises:
            KeyError: There is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def _entry(self, name: str) -> dict[str, Any]:
        if name not in self.entries:
            raise UserError(f"{self._path} holds no array {name}{did_you_mean(name, self.entries)}")
        return self.entries[name]

    def _read_metadata(self) -> dict[str, Any]:
        if not self.folder.is_dir():
            raise UserError(
                f"there is no trace folder {self.folder}: write one with keras_reference/record.py"
            )
        try:
            metadata = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"{self.folder} is no trace: it holds no {record.TRACE_FILE}") from error
        except (OSError, ValueError) as error:
            raise UserError(f"{self._path} is damaged ({error}): record the trace again") from error
        if not isinstance(metadata, dict):
            raise UserError(f"{self._path} is damaged: it holds no JSON object; record the trace again")
        return metadata

    def _check_schema(self) -> None:
        schema = self.metadata.get("schema")
        if not isinstance(schema, int):
            raise UserError(f"{self._path} is damaged: it states no schema version; record the trace again")
        if schema > record.SCHEMA_VERSION:
            raise UserError(
                f"{self._path} has schema {schema}, this version reads up to {record.SCHEMA_VERSION}: "
                "update keras-lightning-parity"
            )

    def _read_arrays(self) -> dict[str, np.ndarray]:
        path = self.folder / record.ARRAYS_FILE
        try:
            # Opened here: of a damaged file np.load keeps the handle.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except FileNotFoundError as error:
            raise UserError(f"{self.folder} is no trace: it holds no {record.ARRAYS_FILE}") from error
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{path} is damaged ({error}): record the trace again") from error
        try:
            expected = {
                name: (entry["dtype"], _kept_shape(entry))
                for name, entry in self.entries.items()
                if entry["stored"] != "seed"
            }
        except (KeyError, TypeError) as error:
            raise UserError(f"{self._path} is damaged: an array lacks {error}; record it again") from error
        for name, (dtype, shape) in expected.items():
            if name not in arrays:
                raise UserError(f"{path} is damaged: {name} is missing; record the trace again")
            array = arrays[name]
            if (array.dtype.name, list(array.shape)) != (dtype, shape):
                raise UserError(
                    f"{path} is damaged: {name} is {array.dtype} {array.shape}, not as {record.TRACE_FILE} "
                    "says; record the trace again"
                )
        return arrays


def training_of(trace: Trace) -> Training:
    """The trace's training.

    Raises:
        UserError: It records none.
    """
    if trace.training is None:
        raise UserError(f"{trace.folder} records no training: record it with --epochs")
    return trace.training


def _kept_shape(entry: dict[str, Any]) -> list[int]:
    if entry["stored"] == "sampled":
        return [entry["shape"][0], entry["places_per_example"]]
    if entry["stored"] == "sampled-anywhere":
        return [entry["places"]]
    return entry["shape"]


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
