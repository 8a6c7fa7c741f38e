"""Carries weights between Keras and torch, both ways, by layer name and layer class.

The rules are data: one table (lightning_impl/keras_semantics/weight_places.py), read forwards by
`keras_to_torch` and backwards by `torch_to_keras`.
Every array and every torch parameter and buffer is used exactly once, or an error names the one that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.weight_places import RULES
from parity_common.command_errors import UserError, did_you_mean
from porting.keras_file.weight_plan import OTHER_NAMES
from porting.trace import KerasLayer


class TransferError(UserError):
    """A weight has no counterpart, or does not fit it.

    Args:
        message: One line that names the array or parameter.
        layer: The layer at which it happened.
    """

    def __init__(self, message: str, layer: str) -> None:
        super().__init__(message)
        self.layer = layer


# nn.BatchNorm counts its batches; Keras keeps no such number, and with a momentum torch never reads it.
ONLY_IN_TORCH = "num_batches_tracked"


@dataclass(frozen=True)
class CarriedPlace:
    """Where a converted model has a Keras weight.

    Attributes:
        torch_name: Of the parameter or buffer.
        axes: `torch = keras.transpose(axes).reshape(torch_shape)`.
        torch_shape: Another than the turned one where torch has two of Keras's axes as one.
    """

    torch_name: str
    axes: tuple[int, ...]
    torch_shape: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """A weight's name on both sides, and the permutation between them.

    Attributes:
        torch_shape: None where it is `turned_shape`.
    """

    keras_name: str
    keras_shape: tuple[int, ...]
    torch_name: str
    axes: tuple[int, ...]
    layer: str
    torch_shape: tuple[int, ...] | None = None

    @property
    def turned_shape(self) -> tuple[int, ...]:
        """Keras's axes in torch's order."""
        return tuple(self.keras_shape[axis] for axis in self.axes)

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """A Keras array of the weight's shape as torch has it; a copy."""
        return array.transpose(self.axes).reshape(self.torch_shape or self.turned_shape).copy(order="C")

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """The way back."""
        return array.reshape(self.turned_shape).transpose(np.argsort(self.axes)).copy(order="C")


def torch_names(module: nn.Module) -> Mapping[str, str]:
    """Keras's layer names to a port's own, where they differ: what its `keras_names` says.

    A port that bears Keras's names throughout has no such attribute.
    """
    return getattr(module, "keras_names", {})


def carried_places(module: nn.Module, layer: KerasLayer) -> Mapping[str, CarriedPlace]:
    """Where a converted model has a layer's weights, by Keras's names; of any other port nothing is known."""
    places = getattr(module, "keras_places", {}).get(layer.name, {})
    return {
        weight.name: places[name]
        for weight in layer.weights
        if (name := OTHER_NAMES.get((layer.class_name, weight.name), weight.name)) in places
    }


def pairs(layers: Iterable[KerasLayer], module: nn.Module) -> list[Pair]:
    """The weights of `layers` with their torch names.

    Args:
        layers: Keras's.
        module: The port.

    Raises:
        TransferError: A layer class, or a weight of one, without a rule.
    """
    found = []
    names = torch_names(module)
    for layer in layers:
        carried = carried_places(module, layer)
        for weight in layer.weights:
            places = RULES.get(layer.class_name)
            keras_name = f"{layer.name}/{weight.name}"
            if weight.name in carried:
                own = carried[weight.name]
                found.append(
                    Pair(keras_name, weight.shape, own.torch_name, own.axes, layer.name, own.torch_shape)
                )
                continue
            if places is None:
                raise TransferError(f"{keras_name}: no rule for the class {layer.class_name}", layer.name)
            if weight.name not in places:
                known = ", ".join(places)
                raise TransferError(
                    f"{keras_name}: no rule for it in {layer.class_name}, which has {known}", layer.name
                )
            place = places[weight.name]
            torch_name = f"{names.get(layer.name, layer.name)}.{place.attribute}"
            found.append(Pair(keras_name, weight.shape, torch_name, place.axes, layer.name))
    return found


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and persistent buffer by name, those apart that torch alone has."""
    return {
        name: tensor for name, tensor in module.state_dict().items() if name.split(".")[-1] != ONLY_IN_TORCH
    }


def keras_to_torch(arrays: Mapping[str, np.ndarray], layers: Iterable[KerasLayer], module: nn.Module) -> None:
    """Writes Keras's weights into a torch module, in place.

    Args:
        arrays: "layer/weight" to the array in Keras's order.
        layers: The Keras layers they belong to.
        module: Holds a submodule of every such layer's name, or says which it is (`torch_names`).

    Raises:
        TransferError: A name on either side is left over or missing, or a shape or dtype differs. The
            module is unchanged then.
    """
    expected = pairs(layers, module)
    tensors = tensors_of(module)
    _check_names(expected, arrays, tensors)
    carried = []
    for pair in expected:
        array, tensor = arrays[pair.keras_name], tensors[pair.torch_name]
        _check_fit(pair, tuple(array.shape), tensor)
        ours = torch.from_numpy(pair.to_torch(array))
        if ours.dtype != tensor.dtype:
            raise TransferError(
                f"{pair.keras_name} is {array.dtype}, but {pair.torch_name} of the port is {tensor.dtype}",
                pair.layer,
            )
        carried.append((tensor, ours))
    with torch.no_grad():
        for tensor, ours in carried:
            tensor.copy_(ours)


def torch_to_keras(module: nn.Module, layers: Iterable[KerasLayer]) -> dict[str, np.ndarray]:
    """Reads a torch module's weights in Keras's names and order: the inverse of `keras_to_torch`.

    Args:
        module: Holds a submodule of every layer's name, or says which it is (`torch_names`).
        layers: The Keras layers wanted.

    Raises:
        TransferError: A name on either side is left over or missing, or a shape differs.
    """
    expected = pairs(layers, module)
    tensors = tensors_of(module)
    _check_names(expected, {pair.keras_name: None for pair in expected}, tensors)
    arrays = {}
    for pair in expected:
        tensor = tensors[pair.torch_name]
        _check_fit(pair, pair.keras_shape, tensor)
        # A copy: the caller's arrays must not change when the module trains on.
        arrays[pair.keras_name] = pair.to_keras(tensor.detach().cpu().numpy())
    return arrays


def _check_names(expected: list[Pair], arrays: Mapping[str, object], tensors: Mapping[str, Tensor]) -> None:
    """Raises TransferError unless both sides hold exactly the expected names."""
    keras_names = {pair.keras_name for pair in expected}
    torch_names = {pair.torch_name for pair in expected}
    # What one side has too many is most likely what the other lacks: it is the first guess offered.
    for pair in expected:
        if pair.keras_name not in arrays:
            near = did_you_mean(pair.keras_name, [name for name in arrays if name not in keras_names])
            raise TransferError(f"{pair.keras_name} is missing among Keras's arrays{near}", pair.layer)
        if pair.torch_name not in tensors:
            near = did_you_mean(pair.torch_name, [name for name in tensors if name not in torch_names])
            raise TransferError(
                f"{pair.keras_name} has nowhere to go: the port has no {pair.torch_name}{near}", pair.layer
            )
    for name in arrays:
        if name not in keras_names:
            near = did_you_mean(name, keras_names)
            raise TransferError(f"{name} is among Keras's arrays, but in no layer{near}", name.split("/")[0])
    for name in tensors:
        if name not in torch_names:
            near = did_you_mean(name, torch_names)
            raise TransferError(
                f"{name} of the port gets no value: Keras has none for it{near}", name.rpartition(".")[0]
            )


def _check_fit(pair: Pair, keras_shape: tuple[int, ...], tensor: Tensor) -> None:
    """Raises TransferError unless the Keras array, permuted, has the tensor's shape."""
    wanted = tuple(tensor.shape)
    turned = tuple(keras_shape[axis] for axis in pair.axes) if len(keras_shape) == len(pair.axes) else None
    if turned is not None and pair.torch_shape is not None and turned == pair.turned_shape:
        turned = pair.torch_shape
    if turned != wanted:
        in_keras_order = ""
        if len(wanted) == len(pair.axes):
            in_keras_order = f", {tuple(wanted[axis] for axis in np.argsort(pair.axes))} in Keras's order"
        raise TransferError(
            f"{pair.keras_name} is {tuple(keras_shape)}, but {pair.torch_name} of the port is {wanted}"
            f"{in_keras_order}",
            pair.layer,
        )
