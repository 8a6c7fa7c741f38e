"""Puts weights that were trained elsewhere into a final: Keras's arrays, torchvision's, another run's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.layers import BatchNorm
from lightning_impl.keras_semantics.preprocessing import IMAGENET_DEVIATIONS, IMAGENET_MEANS, Normalization
from lightning_impl.keras_semantics.weight_places import RULES, Place
from lightning_impl.models.final import Final
from lightning_impl.pretrained.keras_arrays import StoredLayer
from parity_common.command_errors import UserError
from parity_common.efficientnet import package_names


def put_keras_layers(net: Final, layers: list[StoredLayer], source: Path) -> str:
    """Writes Keras's arrays into a net, by order as Keras does: a backbone's, or a whole net's.

    Args:
        net: Changed in place, or not at all.
        layers: Those with weights, in Keras's order.
        source: Named in errors.

    Returns:
        "backbone" or "whole net".

    Raises:
        UserError: Their number or a shape does not fit.
    """
    slots = _backbone_slots(net)
    if len(layers) == len(slots) + 1:
        slots["head"] = net.head
    if len(layers) != len(slots):
        raise UserError(
            f"model.weights: {source} has {len(layers)} layers with weights, the backbone has {len(slots)} "
            f"and the whole net {len(slots) + 1}: it is of another architecture"
        )
    carried: list[tuple[Tensor, Tensor]] = []
    for (name, module), stored in zip(slots.items(), layers, strict=True):
        places = _places(module)
        if len(places) != len(stored.arrays):
            raise UserError(
                f"model.weights: {source} has {len(stored.arrays)} arrays in {stored.name}, "
                f"{name} takes {len(places)}"
            )
        for place, array in zip(places, stored.arrays, strict=True):
            carried.append((getattr(module, place.attribute), _fitted(place, array, module, name, source)))
    with torch.no_grad():
        for tensor, value in carried:
            tensor.copy_(value)
    return "whole net" if "head" in slots else "backbone"


def keras_classes(net: Final) -> list[str]:
    """The classes of Keras's layers with weights, in Keras's order, the head's last."""
    return [str(keras_class(module)) for module in (*_backbone_slots(net).values(), net.head)]


def _backbone_slots(net: Final) -> dict[str, nn.Module]:
    """The modules of the backbone that have weights, by Keras's names in Keras's order."""
    modules = {name: net.get_submodule(path) for name, path in net.keras_names.items()}
    return {name: module for name, module in modules.items() if keras_class(module)}


def put_torchvision_weights(net: Final, tensors: dict[str, Tensor]) -> None:
    """Writes a torchvision net's weights into the backbone, which has the same names.

    What torchvision has not, biases of ResNet50's convolutions, is zero; its classifier is left out.

    Args:
        net: With preprocessing "torchvision"; changed in place.
        tensors: torchvision's state dict.
    """
    own = net.backbone.state_dict()
    taken = {name: tensor for name, tensor in tensors.items() if name in own}
    missing = [name for name in own if name not in taken and not name.startswith("normalization.")]
    unexpected = [name for name in missing if not name.endswith("bias")]
    if unexpected:
        raise UserError(f"model.weights: torchvision's file lacks {unexpected[0]}")
    net.backbone.load_state_dict(own | taken | {name: torch.zeros_like(own[name]) for name in missing})
    normalization = getattr(net.backbone, "normalization", None)
    if isinstance(normalization, Normalization):
        normalization.mean.copy_(torch.tensor(IMAGENET_MEANS))
        normalization.variance.copy_(torch.tensor(IMAGENET_DEVIATIONS) ** 2)


def put_package_weights(net: Final, tensors: dict[str, Tensor], source: Path) -> None:
    """Writes the weights of an installed package into an EfficientNet-Lite0.

    Its classifier of ImageNet's 1,000 classes is left out.

    Args:
        net: Changed in place, or not at all.
        tensors: The package's state dict.
        source: Named in errors.

    Raises:
        UserError: A tensor is missing or has another shape.
    """
    carried: list[tuple[Tensor, Tensor]] = []
    for layer, theirs in package_names().items():
        module = net.get_submodule(net.keras_names[layer])
        for name, tensor in module.state_dict(keep_vars=True).items():
            found = tensors.get(f"{theirs}.{name}")
            if found is None or found.shape != tensor.shape:
                raise UserError(
                    f"model.weights package: {source} has no {theirs}.{name} {tuple(tensor.shape)}"
                )
            carried.append((tensor, found))
    with torch.no_grad():
        for tensor, value in carried:
            tensor.copy_(value)


def put_checkpoint(net: Final, tensors: dict[str, Tensor], source: Path) -> None:
    """Writes another run's net, of the same backbone; its head too where it has as many classes.

    Args:
        net: Changed in place.
        tensors: A checkpoint's state dict.
        source: Named in errors.

    Raises:
        UserError: The names or shapes are another net's.
    """
    found = {name.removeprefix("net."): value for name, value in tensors.items() if name.startswith("net.")}
    own = net.state_dict()
    fits_head = found.get("head.weight", own["head.weight"]).shape == own["head.weight"].shape
    wanted = [name for name in own if fits_head or not name.startswith("head.")]
    for name in wanted:
        if name not in found or found[name].shape != own[name].shape:
            raise UserError(
                f"model.weights: {source} lacks {name} of this net: it is of another architecture"
            )
    net.load_state_dict(own | {name: found[name] for name in wanted})


def keras_class(module: nn.Module) -> str | None:
    """The class of the Keras layer with weights that a module stands for, or None."""
    if isinstance(module, nn.Conv2d):
        return "DepthwiseConv2D" if module.groups > 1 else "Conv2D"
    kinds: dict[type[nn.Module], str] = {
        nn.Linear: "Dense",
        BatchNorm: "BatchNormalization",
        Normalization: "Normalization",
    }
    return next((name for kind, name in kinds.items() if isinstance(module, kind)), None)


def _places(module: nn.Module) -> list[Place]:
    """Where a layer's arrays lie, in Keras's order."""
    rules = dict(RULES[str(keras_class(module))])
    if "depthwise_kernel" in rules:
        # Another name of the same.
        del rules["kernel"]
    return [place for place in rules.values() if getattr(module, place.attribute) is not None]


def _fitted(place: Place, array: np.ndarray, module: nn.Module, name: str, source: Path) -> Tensor:
    tensor = getattr(module, place.attribute)
    fits = array.ndim == len(place.axes) and array.transpose(place.axes).shape == tuple(tensor.shape)
    if not fits:
        raise UserError(
            f"model.weights: {source} has an array {array.shape} for {name}, whose {place.attribute} is "
            f"{tuple(tensor.shape)}: it is of another architecture or number of classes"
        )
    return torch.from_numpy(array.transpose(place.axes).copy(order="C"))
