"""Weights as Keras 1 and 2 lay them out, and Keras 3 in an .h5 file: a list of layers, a list of arrays each.

The group's attribute "layer_names" lists the layers of the outermost model, each layer's "weight_names" its
arrays; those of an inner model stand in one list. Keras goes by the order of both lists, not by names
(keras 3.15 legacy/saving/legacy_h5_format.py `load_weights_from_hdf5_group`), and so does this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from porting.graph import Graph, Layer, LayerPath
from porting.keras_file.hdf5 import Hdf5Contents
from porting.keras_file.problems import KerasFileError, shown
from porting.keras_file.stored import StoredArray
from porting.keras_file.weight_plan import OTHER_NAMES, WEIGHTS, Weight, stored_order

Weights = dict[LayerPath, dict[str, StoredArray]]
_TOP_LEVEL = "top_level_model_weights"
# Keras 1: "convolution2d_1_W"; its statistics have names of their own.
_KERAS1_ENDINGS = {
    "W": "kernel",
    "b": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
_KNOWN_NAMES = {weight.short_name for weights in WEIGHTS.values() for weight in weights} | {
    old for _, old in OTHER_NAMES
}


def is_layer_list(contents: Hdf5Contents, group: str) -> bool:
    """Whether the group lists layers."""
    return any(name in contents.attributes.get(group, {}) for name in ("layer_names", "layer_names0"))


def weights_in_lists(contents: Hdf5Contents, group: str, graph: Graph) -> Weights:
    """The arrays by layer and name.

    Args:
        contents: The file's.
        group: Holds the layers: "model_weights", or "" in a file of weights alone.
        graph: The model's.

    Raises:
        KerasFileError: A list names what is not there, arrays belong to no layer, or a layer's arrays are
            not those its config asks for.
    """
    prefix = f"{group}/" if group else ""
    lists = {name: _arrays(contents, prefix + name) for name in _names(contents, group, "layer_names")}
    _check_all_listed(contents, prefix, lists)
    by_layer = {name: arrays for name, arrays in lists.items() if arrays}
    found: Weights = {}
    for name, layer in _matched(by_layer, graph).items():
        for path, weight_name, array in _assigned(layer, by_layer[name]):
            found.setdefault(path, {})[weight_name] = array
    _check_none_missing(graph, found)
    return found


def short_name(stored: str) -> str:
    """A variable's own name: "kernel" of "conv2d_1_1/kernel:0", "conv2d/kernel" and "convolution2d_1_W"."""
    name = stored.rpartition("/")[2].removesuffix(":0")
    for ending, modern in _KERAS1_ENDINGS.items():
        if name.endswith(f"_{ending}") and name not in _KNOWN_NAMES:
            return modern
    return name


def _names(contents: Hdf5Contents, path: str, attribute: str) -> list[str]:
    """A list of names, which Keras cuts into several attributes when it is long."""
    attributes = contents.attributes.get(path)
    if attributes is None:
        raise KerasFileError(f"it lists {shown(path)}, which it does not hold: the file is damaged")
    names: Any = attributes.get(attribute)
    if names is None:
        names, part = [], 0
        while f"{attribute}{part}" in attributes:
            names += _as_list(attributes[f"{attribute}{part}"], path, attribute)
            part += 1
    names = _as_list(names, path, attribute)
    if len(set(names)) != len(names):
        raise KerasFileError(f"{attribute} of {shown(path)} names one thing twice: the file is damaged")
    return names


def _as_list(names: Any, path: str, attribute: str) -> list[str]:
    if not isinstance(names, list):
        raise KerasFileError(f"{attribute} of {shown(path)} is no list of names: the file is damaged")
    return names


def _arrays(contents: Hdf5Contents, layer_group: str) -> list[StoredArray]:
    arrays = []
    for name in _names(contents, layer_group, "weight_names"):
        # HDF5 takes several slashes for one.
        path = "/".join(part for part in f"{layer_group}/{name}".split("/") if part)
        if path not in contents.arrays:
            raise KerasFileError(f"it lists {shown(path)}, which it does not hold: the file is damaged")
        arrays.append(contents.arrays[path])
    return arrays


def _check_all_listed(contents: Hdf5Contents, prefix: str, lists: Mapping[str, list[StoredArray]]) -> None:
    listed = {array.name for arrays in lists.values() for array in arrays}
    for name in contents.arrays:
        if (
            name.startswith(prefix)
            and name not in listed
            and not (prefix == "" and "optimizer_weights/" in name)
        ):
            where = "are the model's own" if name.startswith(prefix + _TOP_LEVEL) else "belong to no layer"
            raise KerasFileError(f"the numbers of {shown(name)} {where}: they cannot be carried over")


def _matched(by_layer: Mapping[str, list[StoredArray]], graph: Graph) -> dict[str, Layer]:
    """The layers by the names of the file: the same, or where those differ, in the same order."""
    named = {layer.name: layer for layer in graph.layers}
    if all(name in named for name in by_layer):
        return {name: named[name] for name in by_layer}
    with_weights = [layer for layer in graph.layers if any(weight for _, weight in stored_order(layer))]
    if len(with_weights) != len(by_layer):
        stray = next(name for name in by_layer if name not in named)
        raise KerasFileError(
            f'the weights of layer "{shown(stray)}" belong to no layer of the model, and of those that have '
            f"weights the file has {len(by_layer)}, the model {len(with_weights)}"
        )
    return dict(zip(by_layer, with_weights, strict=True))


def _assigned(layer: Layer, arrays: list[StoredArray]) -> list[tuple[LayerPath, str, StoredArray]]:
    planned = list(stored_order(layer))
    unknown = [path for path, weight in planned if weight is None]
    if planned == [((layer.name,), None)]:
        return [((layer.name,), name, array) for name, array in _own_names(arrays).items()]
    # Inside an inner model a layer of an unknown class takes the arrays that carry its name.
    found = []
    for path in unknown:
        is_own = [path[-1] in array.name.split("/")[:-1] for array in arrays]
        own = [array for array, its in zip(arrays, is_own, strict=True) if its]
        arrays = [array for array, its in zip(arrays, is_own, strict=True) if not its]
        found += [(path, name, array) for name, array in _own_names(own).items()]
    known = [(path, weight) for path, weight in planned if weight is not None]
    if len(known) != len(arrays):
        raise KerasFileError(
            f'layer "{shown(layer.name)}" ({layer.class_name}) has {len(known)} weights by its config, and '
            f"{len(arrays)} in the file"
        )
    for (path, weight), array in zip(known, arrays, strict=True):
        _check_name(layer, path, weight, array)
        found.append((path, weight.name, array))
    return found


def _own_names(arrays: list[StoredArray]) -> dict[str, StoredArray]:
    """Arrays by their short names; where those repeat, by as much more of the path as tells them apart."""
    paths = [array.name.removesuffix(":0").split("/") for array in arrays]
    for length in range(1, 1 + max(map(len, paths), default=0)):
        names = ["/".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return dict(zip(names, arrays, strict=True)) if arrays else {}


def _check_name(layer: Layer, path: LayerPath, weight: Weight, array: StoredArray) -> None:
    """An array whose name is another weight's is in the wrong place; a name that says nothing is none."""
    stored = short_name(array.name)
    renamed = {new for (_, old), new in OTHER_NAMES.items() if old == stored} | {stored}
    if stored in _KNOWN_NAMES and weight.short_name not in renamed:
        raise KerasFileError(
            f"{shown(array.name)} stands where the config of layer "
            f'"{shown("/".join(path))}" asks for its {weight.name}: the file is damaged'
        )


def _check_none_missing(graph: Graph, found: Weights) -> None:
    for layer in graph.layers:
        for path, weight in stored_order(layer):
            if weight is not None and weight.name not in found.get(path, {}):
                raise KerasFileError(
                    f'layer "{shown("/".join(path))}" has a {weight.name} by its config, and none in the file'
                )
