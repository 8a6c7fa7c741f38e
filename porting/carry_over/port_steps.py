"""A port of lightning_impl as the steps that it computes, in Keras's words and order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from lightning_impl.keras_semantics.layers import BatchNorm, Dropout, DropoutPerImage, Flatten
from lightning_impl.keras_semantics.padding import SamePadConv2d
from lightning_impl.keras_semantics.pooling import GlobalAveragePool2d
from lightning_impl.keras_semantics.preprocessing import CaffePreprocessing, Normalization, Rescaling
from lightning_impl.models.backbones.parts import ActivatedConv2d, Add, CorrectPad, Multiply, PaddedMaxPool2d
from lightning_impl.pretrained.into_net import keras_class

SOFTMAX = "softmax"

# Steps without settings that could differ where shapes and weights fit.
_PLAIN: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "silu",
    nn.Sigmoid: "sigmoid",
    nn.Softmax: SOFTMAX,
    nn.Linear: "Dense",
    nn.Unflatten: "Reshape",
    nn.ZeroPad2d: "ZeroPadding2D",
    Add: "Add",
    CaffePreprocessing: "CaffePreprocessing",
    CorrectPad: "ZeroPadding2D",
    Flatten: "Flatten",
    GlobalAveragePool2d: "GlobalAveragePooling2D",
    Multiply: "Multiply",
    Normalization: "Normalization",
}


@dataclass(frozen=True)
class Step:
    """One thing that a net computes.

    Attributes:
        kind: A class of Keras's, or an activation.
        settings: What changes the result beside the weights, by Keras's names.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def port_steps(net: nn.Module) -> list[Step]:
    """A port's steps, without the softmax at its end."""
    steps = [step for module in layers_of(net).values() for step in _steps(module)]
    return [step for step in steps if step.kind != SOFTMAX]


def layers_of(net: nn.Module) -> dict[str, nn.Module]:
    """A port's layers by their names in it, in Keras's order."""
    # final's backbone keeps torchvision's order; the rest is built in Keras's.
    names = [*getattr(net, "keras_names", {}).values()]
    names += [name for name, _ in net.named_children() if name != "backbone"]
    return {name: net.get_submodule(name) for name in names}


def _steps(module: nn.Module) -> Iterator[Step]:
    if isinstance(module, nn.Conv2d):
        settings = {
            "strides": tuple(module.stride),
            "padding": _padding(module),
            "dilation_rate": tuple(module.dilation),
        }
        yield Step(str(keras_class(module)), settings)
        if isinstance(module, ActivatedConv2d):
            yield from _steps(module.activation)
    elif isinstance(module, BatchNorm):
        yield Step("BatchNormalization", {"epsilon": module.epsilon, "momentum": module.momentum})
    elif isinstance(module, Dropout):
        if module.rate:
            is_per_image = isinstance(module, DropoutPerImage)
            yield Step("Dropout", {"rate": module.rate, "is_per_image": is_per_image})
    elif isinstance(module, nn.MaxPool2d):
        size, stride = ((each, each) for each in (module.kernel_size, module.stride))
        assert isinstance(module, PaddedMaxPool2d) or not module.padding
        yield Step("MaxPooling2D", {"pool_size": size, "strides": stride, "padding": "valid"})
    elif isinstance(module, Rescaling):
        scale, offset = (tensor.flatten().tolist() for tensor in (module.scale, module.offset))
        yield Step("Rescaling", {"scale": scale, "offset": offset})
    else:
        yield Step(_PLAIN[type(module)])


def _padding(module: nn.Conv2d) -> str:
    """Keras's word for it: every padding of the nets here is that of "same", or a layer of its own."""
    is_same = isinstance(module, SamePadConv2d) or any(module.padding)
    return "same" if is_same and tuple(module.kernel_size) != (1, 1) else "valid"
