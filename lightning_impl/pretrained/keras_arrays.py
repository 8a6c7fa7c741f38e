"""Reads the weights of a Keras file, .h5 or .keras, layer by layer in Keras's order. Executes nothing of it.

Keras fits arrays to layers by order, not by name (keras 3.15 legacy/saving/legacy_h5_format.py,
`load_weights_from_hdf5_group`): names of automatic making differ from session to session.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from parity_common.command_errors import UserError

# Where Keras 3 and tf_keras put the layers of a Sequential or Functional model in a .keras archive.
LAYER_GROUPS = ("layers", "_layer_checkpoint_dependencies")


@dataclass(frozen=True)
class StoredLayer:
    """The arrays of one layer.

    Attributes:
        name: Its name, or in an archive its place there.
        arrays: In Keras's order; never empty.
    """

    name: str
    arrays: list[np.ndarray]


@dataclass(frozen=True)
class KerasFile:
    """What a file holds.

    Attributes:
        layers: Those with weights.
        classes: The class of every layer of the model, or an empty list in a file of weights alone.
    """

    layers: list[StoredLayer]
    classes: list[str]


def read_keras_file(path: Path) -> KerasFile:
    """Reads .h5 (a whole model's, or weights alone) and .keras.

    Raises:
        UserError: The file is missing, damaged, or laid out in another way.
    """
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        with h5py.File(path, "r") as file:
            return _read_layer_list(file)
    except FileNotFoundError as error:
        raise UserError(f"model.weights: no such file {path}") from error
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"model.weights: {path} is no Keras file, or damaged: {error}") from error


def _read_layer_list(file: h5py.File) -> KerasFile:
    group = file.get("model_weights", file)
    names = _texts(group, "layer_names")
    layers = []
    for name in names:
        arrays = [np.asarray(group[name][weight]) for weight in _texts(group[name], "weight_names")]
        if arrays:
            layers.append(StoredLayer(name, arrays))
    config = file.attrs.get("model_config")
    return KerasFile(layers, [] if config is None else _classes(json.loads(_text(config))))


def _read_archive(path: Path) -> KerasFile:
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        weights = io.BytesIO(archive.read("model.weights.h5"))
    classes = _classes(config)
    layers = []
    with h5py.File(weights, "r") as file:
        group = next((file[name] for name in LAYER_GROUPS if name in file), None)
        if group is None:
            raise ValueError("it has no list of layers: it is no Sequential or Functional model")
        seen: dict[str, int] = {}
        for kind in classes:
            name = _snake_case(kind)
            number = seen.get(name, 0)
            seen[name] = number + 1
            place = f"{name}_{number}" if number else name
            stored = group[place]["vars"] if place in group and "vars" in group[place] else {}
            arrays = [np.asarray(stored[str(weight)]) for weight in range(len(stored))]
            if arrays:
                layers.append(StoredLayer(place, arrays))
    return KerasFile(layers, classes)


def _classes(config: dict[str, Any]) -> list[str]:
    return [layer["class_name"] for layer in config["config"]["layers"]]


def _texts(group: Any, attribute: str) -> list[str]:
    """An attribute that is a list of names, which Keras cuts into numbered pieces when it is long."""
    if attribute in group.attrs:
        return [_text(each) for each in group.attrs[attribute]]
    found: list[str] = []
    piece = 0
    while f"{attribute}{piece}" in group.attrs:
        found += [_text(each) for each in group.attrs[f"{attribute}{piece}"]]
        piece += 1
    if piece == 0:
        raise KeyError(f"no {attribute}")
    return found


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _snake_case(name: str) -> str:
    """keras 3.15 utils/naming.py, `to_snake_case`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
