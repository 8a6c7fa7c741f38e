"""Reads the weights of a Keras file, .h5 or .keras, layer by layer in Keras's order. Executes nothing of it.

Keras fits arrays to layers by order, not by name (keras 3.15 legacy/saving/legacy_h5_format.py,
`load_weights_from_hdf5_group`): names of automatic making differ from session to session. The layers of a
model inside the model, as a backbone often is, come in its place.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from parity_common.command_errors import UserError

# Where Keras 3 and tf_keras put the layers of a Sequential or Functional model in a .keras archive.
LAYER_GROUPS = ("layers", "_layer_checkpoint_dependencies")
# What may be wrong with a file that somebody else wrote.
_DAMAGE = (
    *(OSError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile),
    # Groups or models that lie in themselves.
    RecursionError,
)


@dataclass(frozen=True)
class StoredLayer:
    """The arrays of one layer.

    Attributes:
        name: Its name, or in an archive its place there.
        arrays: In Keras's order; never empty.
    """

    name: str
    arrays: list[np.ndarray]


def read_classes(path: Path) -> list[str]:
    """The class of every layer of the model, in its order; none of a file of weights alone.

    Raises:
        UserError: The file is missing or damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                config = json.loads(archive.read("config.json"))
        else:
            with h5py.File(path, "r") as file:
                config = _config(file)
        return [] if config is None else [layer["class_name"] for layer in _single_layers(config)]
    except FileNotFoundError as error:
        raise UserError(f"model.weights: no such file {path}") from error
    except _DAMAGE as error:
        raise UserError(f"model.weights: {path} is no Keras file, or damaged: {error}") from error


def read_layers(path: Path, classes: Sequence[str]) -> list[StoredLayer]:
    """The layers that have weights, in the model's order.

    Args:
        path: .h5 (a whole model's, or weights alone), .keras, or Keras 3's .weights.h5.
        classes: Keras's classes of the layers with weights that are expected, in the model's order. A
            .weights.h5 names its layers by their classes, numbered, and says nothing of the order of layers
            of different classes.

    Raises:
        UserError: The file is missing, damaged, or laid out in another way.
    """
    try:
        if zipfile.is_zipfile(path):
            return list(_of_archive(path))
        with h5py.File(path, "r") as file:
            group = _layer_group(file)
            return list(_of_list(file) if group is None else _of_classes(group, classes))
    except FileNotFoundError as error:
        raise UserError(f"model.weights: no such file {path}") from error
    except _DAMAGE as error:
        raise UserError(f"model.weights: {path} is no Keras file, or damaged: {error}") from error


def _of_list(file: h5py.File) -> Iterator[StoredLayer]:
    """Of the older .h5: a list of layers, each with a list of its weights' names, `layer/kernel:0`."""
    group, config = file.get("model_weights", file), _config(file)
    order = [] if config is None else [layer["config"]["name"] for layer in _single_layers(config)]
    for name in _texts(group, "layer_names"):
        # Of a model inside, what trains comes before what does not.
        arrays = defaultdict(list)
        for weight in _texts(group[name], "weight_names"):
            arrays[weight.rpartition("/")[0].rpartition("/")[2]].append(np.asarray(group[name][weight]))
        owners = list(arrays)
        if set(owners) <= set(order):
            owners.sort(key=order.index)
        elif owners and owners[-1].startswith("normalization"):
            # Weights alone, of a backbone that trained: Normalization, which does not, is its first layer.
            owners.insert(0, owners.pop())
        for owner in owners:
            yield StoredLayer(owner, arrays[owner])


def _of_archive(path: Path) -> Iterator[StoredLayer]:
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r") as file:
        group = _layer_group(file)
        if group is None:
            raise ValueError("it has no list of layers: it is no Sequential or Functional model")
        yield from _of_config(group, config)


def _of_config(group: Any, config: Mapping[str, Any]) -> Iterator[StoredLayer]:
    """The places are named by their layers' classes, numbered."""
    numbers: dict[str, int] = defaultdict(int)
    for layer in config["config"]["layers"]:
        place = _place(layer["class_name"], numbers)
        if place not in group:
            continue
        inside = _layer_group(group[place])
        if "layers" in layer["config"] and inside is not None:
            yield from _of_config(inside, layer)
        else:
            yield from _stored(place, group[place])


def _of_classes(group: Any, classes: Sequence[str]) -> Iterator[StoredLayer]:
    """Those of the expected classes in their order, and behind them what else there is.

    Raises:
        ValueError: Layers of the model and of one inside it have the same place.
    """
    places: dict[str, Any] = {}
    for place, stored in _places(group):
        if place in places and len(stored.get("vars", {})):
            raise ValueError(f"the model and one inside it both have a {place}: give a file of the whole")
        if len(stored.get("vars", {})):
            places[place] = stored
    numbers: dict[str, int] = defaultdict(int)
    for kind in classes:
        place = _place(kind, numbers)
        yield from _stored(place, places.pop(place, {}))
    for place, stored in places.items():
        yield from _stored(place, stored)


def _places(group: Any) -> Iterator[tuple[str, Any]]:
    for place, stored in group.items():
        inside = _layer_group(stored)
        yield from [(place, stored)] if inside is None else _places(inside)


def _stored(place: str, stored: Any) -> Iterator[StoredLayer]:
    variables = stored.get("vars", {})
    if len(variables):
        yield StoredLayer(place, [np.asarray(variables[str(number)]) for number in range(len(variables))])


def _layer_group(group: Any) -> Any:
    return next((group[name] for name in LAYER_GROUPS if name in group), None)


def _place(kind: str, numbers: dict[str, int]) -> str:
    """The next layer's of a class: `conv2d`, `conv2d_1`."""
    name = _snake_case(kind)
    number = numbers[name]
    numbers[name] += 1
    return f"{name}_{number}" if number else name


def _config(file: h5py.File) -> Any:
    stored = file.attrs.get("model_config")
    return None if stored is None else json.loads(_text(stored))


def _single_layers(config: Mapping[str, Any]) -> Iterator[Any]:
    """Every layer's config, those of a model inside in its place."""
    for layer in config["config"]["layers"]:
        if "layers" in layer["config"]:
            yield from _single_layers(layer)
        else:
            yield layer


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
