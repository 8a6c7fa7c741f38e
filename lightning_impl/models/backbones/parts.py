"""What turns torchvision's blocks into Keras's: each layer of Keras's a module, whose output can be compared.

Where a layer of Keras's is part of one of torchvision's modules it is a child of that module, so that weights
keep torchvision's names.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import variance_scaling_
from lightning_impl.keras_semantics.padding import pad_same

Convolution = TypeVar("Convolution", bound=nn.Conv2d)


class Add(nn.Module):
    """Keras's Add of two."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class Multiply(nn.Module):
    """Keras's Multiply of two; `(N, C, 1, 1)` is spread over `(N, C, H, W)`."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first * second


class CorrectPad(nn.Module):
    """ZeroPadding2D with keras.applications' `correct_pad`, before a convolution of stride 2.

    For an image size that is known it is padding "same" (D07): keras 3.15 applications/imagenet_utils.py.

    Args:
        kernel_size: Of the convolution that follows, in pixels a side.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, features: Tensor) -> Tensor:
        return pad_same(features, (self.kernel_size,) * 2, (2, 2))


class PaddedConv2d(nn.Conv2d):
    """A convolution and the padding before it, which is a layer of its own in Keras.

    Args:
        pad: That layer; the others are nn.Conv2d's.
    """

    def __init__(self, *arguments: Any, pad: nn.Module, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.pad = pad

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(self.pad(features))


class PaddedMaxPool2d(nn.MaxPool2d):
    """Max pooling and the padding before it.

    Keras pads with zeros, torch with minus infinity: the same after a ReLU alone.
    """

    def __init__(self, *arguments: Any, pad: nn.Module, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.pad = pad

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(self.pad(features))


class ActivatedConv2d(nn.Conv2d):
    """A convolution with Keras's argument `activation`: one layer there."""

    def __init__(self, *arguments: Any, activation: nn.Module, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        return self.activation(super().forward(features))


def changed(convolution: nn.Conv2d, kind: type[Convolution], **changes: Any) -> Convolution:
    """A convolution of another class or with other arguments, its weights drawn anew.

    Args:
        convolution: torchvision's.
        kind: The class.
        changes: The arguments that differ.
    """
    arguments: dict[str, Any] = {
        "in_channels": convolution.in_channels,
        "out_channels": convolution.out_channels,
        "kernel_size": convolution.kernel_size,
        "stride": convolution.stride,
        "padding": convolution.padding,
        "groups": convolution.groups,
        "bias": convolution.bias is not None,
    }
    return kind(**(arguments | changes))


def draw_efficientnet_kernels(net: nn.Module) -> None:
    """Draws every convolution as keras.applications' EfficientNet does; biases are zero.

    keras 3.15 applications/efficientnet.py, `CONV_KERNEL_INITIALIZER`.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            field = math.prod(module.kernel_size)
            # Of a depthwise kernel Keras takes the multiplier, 1, for the outputs.
            fans = (module.in_channels * field, field) if module.groups > 1 else None
            variance_scaling_(module.weight, fans, scale=2.0, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
