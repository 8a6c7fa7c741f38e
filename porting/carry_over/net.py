"""Which array of a Keras file belongs where in a port, and which of its weights Keras trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.weight_places import RULES, Place
from lightning_impl.pretrained.into_net import keras_class
from parity_common.command_errors import UserError
from porting.carry_over.port_steps import layers_of
from porting.graph import Layer
from porting.keras_file import KerasFile, StoredArray, WeightKey
from porting.keras_file.weight_plan import trained_order


@dataclass(frozen=True)
class Carried:
    """A weight on both sides.

    Attributes:
        key: Its layer and name in the file.
        stored: The file's array.
        name: The parameter's or buffer's in the port.
        axes: `torch = keras.transpose(axes)`.
    """

    key: WeightKey
    stored: StoredArray
    name: str
    axes: tuple[int, ...]

    def in_torch_order(self, array: np.ndarray) -> Tensor:
        """An array of the weight's shape, the weight's own or a slot's, with torch's axes."""
        return torch.from_numpy(array.transpose(self.axes).copy(order="C"))


def match(file: KerasFile, net: nn.Module) -> list[Carried]:
    """Every array of the file with its place in the port.

    Layers are taken by their order, as Keras itself does with weights: names of automatic making differ from
    session to session.

    Args:
        file: A model's.
        net: Its modules with weights come in Keras's order.

    Raises:
        UserError: The file's net is another: layers or shapes.
    """
    layers = dict(file.graph.walk())
    stored = {path: arrays for path, arrays in file.weights.items() if arrays}
    modules = {name: module for name, module in layers_of(net).items() if keras_class(module)}
    if len(stored) != len(modules):
        raise UserError(
            f"{file.path} has {len(stored)} layers with weights, the config's net {len(modules)}: "
            "it is of another architecture"
        )
    carried = []
    for (path, arrays), (name, module) in zip(stored.items(), modules.items(), strict=True):
        layer, kind = layers[path], keras_class(module)
        if layer.class_name != kind:
            raise UserError(
                f"{file.path} has the {layer.class_name} {'/'.join(path)} where the config's net has the "
                f"{kind} {name}: it is of another architecture"
            )
        for weight, place in _places(file, layer, arrays, module):
            array, tensor = arrays[weight], getattr(module, place.attribute)
            fits = len(array.shape) == len(place.axes)
            if not fits or tuple(array.shape[axis] for axis in place.axes) != tuple(tensor.shape):
                raise UserError(
                    f"{file.path} has {'/'.join((*path, weight))} of {array.shape}, the config's {name} "
                    f"takes {tuple(tensor.shape)}: it is of another architecture or number of classes"
                )
            carried.append(Carried((path, weight), array, f"{name}.{place.attribute}", place.axes))
    return carried


@torch.no_grad()
def put_weights(carried: Iterable[Carried], net: nn.Module) -> None:
    """Writes the file's weights into the port, in place."""
    tensors = net.state_dict()
    for each in carried:
        tensors[each.name].copy_(each.in_torch_order(each.stored.read()))


def trained_in_file(file: KerasFile) -> set[WeightKey]:
    """What the file's optimizer trains, by the layers' `trainable`."""
    return {
        (path, name)
        for path, weight in trained_order(file.graph)
        for name in ([weight.name] if weight is not None else file.weights.get(path, {}))
    }


def _places(
    file: KerasFile, layer: Layer, arrays: Mapping[str, StoredArray], module: nn.Module
) -> list[tuple[str, Place]]:
    """The layer's weights and their places in the module."""
    rules = RULES[layer.class_name]
    taken = {place.attribute for place in rules.values() if getattr(module, place.attribute) is not None}
    if {rules[weight].attribute for weight in arrays if weight in rules} != taken or not set(arrays) <= set(
        rules
    ):
        raise UserError(
            f"{file.path} has {', '.join(arrays)} in {layer.name}, the config's net "
            f"{', '.join(sorted(taken))}: it is of another architecture"
        )
    return [(weight, rules[weight]) for weight in arrays]
