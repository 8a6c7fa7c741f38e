"""Weights as Keras 3 lays them out: a tree of objects, the arrays of each numbered.

    layers/conv2d/vars/0    layers/conv2d_1/vars/0    layers/functional/layers/dense/vars/1

The objects are named after their classes and counted in the model's order, whatever the layers are called.
Source: keras 3.15 and tf_keras 2.21 saving/saving_lib.py `_save_state`, `_save_container_state`. tf_keras
2.12 named "layers" "_layer_checkpoint_dependencies" and counted each layer with weights twice, so that the
numbers have gaps; their order is the same. So did TF 2.13 and 2.14, on Windows with backslashes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from porting.graph import Graph, Layer, LayerPath
from porting.keras_file.hdf5 import Hdf5Contents
from porting.keras_file.layer_list_layout import Weights
from porting.keras_file.model_config import INPUT_LAYER, OPERATION
from porting.keras_file.problems import KerasFileError, shown
from porting.keras_file.stored import StoredArray
from porting.keras_file.weight_plan import is_random_state, weights_of

_LAYERS = ("layers", "_layer_checkpoint_dependencies")
_NOT_THE_MODELS = ("optimizer", "metrics", "_metrics", "compile_metrics")


def is_object_tree(contents: Hdf5Contents) -> bool:
    """Whether the file holds a tree of objects."""
    return any(group in contents.attributes for group in _LAYERS)


def weights_in_objects(contents: Hdf5Contents, graph: Graph) -> Weights:
    """The arrays by layer and name. An optimizer's, and random states, are left out.

    Raises:
        KerasFileError: The objects are not the model's layers, arrays are missing, or belong to no layer.
    """
    tree = _Tree(contents)
    found: Weights = {}
    tree.take(graph, "", (), found)
    for name in tree.left:
        parts = name.split("/")
        if parts[0] not in _NOT_THE_MODELS and not is_random_state(parts):
            raise KerasFileError(f"the numbers of {shown(name)} belong to no layer of the model")
    return found


def with_slashes(contents: Hdf5Contents) -> Hdf5Contents:
    """The contents with slashes where TF 2.13 and 2.14 on Windows wrote backslashes: no layer has one.

    Source: saving_lib.py of those versions, which joins the parts of a place by the system's own separator.

    Raises:
        KerasFileError: Two things would have the same place.
    """
    if not any("\\" in name for name in (*contents.attributes, *contents.arrays)):
        return contents
    arrays = {name.replace("\\", "/"): array for name, array in contents.arrays.items()}
    if len(arrays) < len(contents.arrays):
        raise KerasFileError("two of its arrays have one name but for backslashes: the file is damaged")
    attributes: dict[str, dict[str, Any]] = {}
    for name, stated in contents.attributes.items():
        parts = name.replace("\\", "/").split("/")
        # The groups on the way are none in such a file.
        for length in range(1, len(parts)):
            attributes.setdefault("/".join(parts[:length]), {})
        attributes.setdefault("/".join(parts), {}).update(stated)
    return Hdf5Contents(attributes, arrays)


class _Tree:
    def __init__(self, contents: Hdf5Contents) -> None:
        self._children: dict[str, list[str]] = defaultdict(list)
        for group in contents.attributes:
            parent, _, child = group.rpartition("/")
            self._children[parent].append(child)
        self.left: dict[str, StoredArray] = dict(contents.arrays)
        self._below: dict[str, list[str]] = defaultdict(list)
        for name in contents.arrays:
            parts = name.split("/")
            for length in range(1, len(parts)):
                self._below["/".join(parts[:length])].append(name)

    def take(self, graph: Graph, place: str, path: LayerPath, found: Weights) -> None:
        """Moves the arrays of a model's layers from `left` to `found`.

        Args:
            graph: The model's.
            place: The path of its object, with a slash behind it; "" for the outermost.
            path: The model's own, as a layer.
            found: Takes them.
        """
        for layer, group in self._groups(graph, place):
            here = (*path, layer.name)
            if layer.graph is not None:
                self.take(layer.graph, f"{group}/", here, found)
            elif arrays := self._arrays(layer, here, group):
                found[here] = arrays

    def _groups(self, graph: Graph, place: str) -> list[tuple[Layer, str]]:
        """Each layer with its object's path."""
        container = next((place + name for name in _LAYERS if place + name in self._children), "")
        stored: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for child in self._children[container] if container else ():
            name, number = re.fullmatch(r"(.*?)(?:_(\d{1,9}))?", child, re.DOTALL).groups()  # type: ignore[union-attr]
            stored[name].append((int(number or 0), f"{container}/{child}"))
        wanted: dict[str, list[Layer]] = defaultdict(list)
        for layer in graph.layers:
            # A Sequential does not count its InputLayer among its layers, and none has weights. An operation
            # is no layer.
            if layer.class_name != INPUT_LAYER and not layer.class_name.startswith(OPERATION):
                wanted[_snake_case(layer.class_name)].append(layer)
        pairs: list[tuple[Layer, str]] = []
        for name, layers in wanted.items():
            groups = [group for _, group in sorted(stored[name])]
            if len(groups) != len(layers):
                raise KerasFileError(
                    f"the model has {len(layers)} layers of class {shown(layers[0].class_name)}, and the "
                    f"file the weights of {len(groups)}"
                )
            pairs += zip(layers, groups, strict=True)
        return pairs

    def _arrays(self, layer: Layer, path: LayerPath, group: str) -> dict[str, StoredArray]:
        """The arrays of a layer's object and of the objects in it, by the weights' names."""
        own = {
            _place(name[len(group) + 1 :]): name
            for name in self._below[group]
            if not is_random_state(name.split("/"))
        }
        weights = weights_of(layer)
        if weights is None:
            names = {place.replace("vars/", ""): name for place, name in own.items()}
        else:
            names = {}
            counts: dict[str, int] = defaultdict(int)
            for weight in weights:
                place = f"{weight.part}/vars/{counts[weight.part]}".lstrip("/")
                counts[weight.part] += 1
                if place not in own:
                    raise KerasFileError(
                        f'layer "{shown("/".join(path))}" has a {weight.name} by its config, and none in '
                        "the file"
                    )
                names[weight.name] = own.pop(place)
        return {weight_name: self.left.pop(name) for weight_name, name in names.items()}


def _place(path: str) -> str:
    # Attributes have become public and private between versions: "_query_dense" and "query_dense".
    return "/".join(part.removeprefix("_") for part in path.split("/"))


def _snake_case(class_name: str) -> str:
    """Source: keras 3.15 utils/naming.py `to_snake_case`."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
