"""Reads a trace folder: metadata and arrays, whatever was recorded."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_reference import record
from parity_common.command_errors import UserError, did_you_mean

# How an array of which only seeded places are kept is stored: of each example, or of the whole.
_SAMPLED = ("sampled", "sampled-anywhere")
MODEL, DATA = "model", "data"


class TraceFolder:
    """A trace folder.

    Args:
        folder: Holds trace.json and arrays.npz.

    Attributes:
        metadata: trace.json as it stands.
        kind: "model", from record.py, or "data", from record_data.py.
        profile: The Keras generation.
        seed: The trace's.
        entries: What is said of each array, by logical name.

    Raises:
        UserError: The folder is missing, damaged, or of a newer schema.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._path = self.folder / record.TRACE_FILE
        self.metadata = self._read_metadata()
        self._check_schema()
        self.kind: str = self.metadata.get("kind", MODEL)
        self.profile: str = self.said("profile")
        self.seed: int = self.said("seed")
        self.entries: dict[str, dict[str, Any]] = self.said("arrays")
        self._stored = self._read_arrays()

    def said(self, key: str) -> Any:
        """What trace.json says under a key.

        Raises:
            UserError: It lacks the key.
        """
        if key not in self.metadata:
            raise UserError(f"{self._path} is damaged: it lacks '{key}'; record the trace again")
        return self.metadata[key]

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


def _kept_shape(entry: dict[str, Any]) -> list[int]:
    if entry["stored"] == "sampled":
        return [entry["shape"][0], entry["places_per_example"]]
    if entry["stored"] == "sampled-anywhere":
        return [entry["places"]]
    return entry["shape"]
