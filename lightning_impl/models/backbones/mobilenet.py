"""MobileNetV2 as keras.applications has it, of torchvision's modules, with torchvision's weight names."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torchvision
from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import glorot_uniform_
from lightning_impl.keras_semantics.layers import BatchNorm
from lightning_impl.keras_semantics.padding import SamePadConv2d
from lightning_impl.keras_semantics.preprocessing import Rescaling, torchvision_preprocessing
from lightning_impl.keras_semantics.profile import TF24, Profile
from lightning_impl.models.backbones.parts import Add, CorrectPad, PaddedConv2d, changed

# keras 3.15 applications/mobilenet_v2.py; epsilon is the layer's default, momentum is not (D47).
MOMENTUM = 0.999


class MobileNetV2(nn.Module):
    """keras.applications.MobileNetV2(include_top=False), alpha 1, after Rescaling(1 / 127.5, -1).

    Against torchvision's: an odd pixel of padding goes to the bottom and right (D07), BatchNormalization has
    Keras's constants (D10, D47), images are rescaled inside the net (D48).

    Args:
        profile: The Keras generation.
        preprocessing: "torchvision": what torchvision's net reads; else what Keras's does.
    """

    channels = 1280

    def __init__(self, profile: Profile = TF24, preprocessing: str = "keras") -> None:
        super().__init__()
        source = torchvision.models.mobilenet_v2(
            norm_layer=partial(BatchNorm, profile=profile, momentum=MOMENTUM)
        )
        # What `preprocess_input` of mode "tf" does, as Keras's transfer-learning guide writes it.
        keras_preprocessing = Rescaling(1 / 127.5, -1.0)
        is_torchvision = preprocessing == "torchvision"
        self.preprocessing = torchvision_preprocessing() if is_torchvision else keras_preprocessing
        self.features = source.features
        stem = self.features[0][0]
        self.features[0][0] = SamePadConv2d(
            stem.in_channels, stem.out_channels, stem.kernel_size, stride=stem.stride, bias=False
        )
        for place in range(1, len(self.features) - 1):
            self.features[place] = InvertedResidual(self.features[place])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                field = math.prod(module.kernel_size)
                # Of a depthwise kernel Keras takes the multiplier, 1, for the outputs.
                glorot_uniform_(
                    module.weight, (module.in_channels * field, field) if module.groups > 1 else None
                )
        self.keras_names = _keras_names(self.features)

    def forward(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` of 0-255 to features `(N, 1280, ceil(H / 32), ceil(W / 32))`."""
        return self.features(self.preprocessing(images))


class InvertedResidual(nn.Module):
    """One block: torchvision's, its padding altered and the adding a module.

    Args:
        block: torchvision's.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.conv = block.conv
        depthwise = self.conv[-3]
        if block.stride == 2:
            depthwise[0] = changed(depthwise[0], PaddedConv2d, padding=0, pad=CorrectPad(3))
        self.is_residual = block.use_res_connect
        if self.is_residual:
            self.add = Add()

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)`."""
        x = self.conv(features)
        return self.add(features, x) if self.is_residual else x


def _keras_names(features: nn.Sequential) -> dict[str, str]:
    """Keras's layers, in Keras's order, to the modules that stand for them."""
    names = {"preprocessing": "preprocessing", "Conv1": "features.0.0", "bn_Conv1": "features.0.1"}
    names["Conv1_relu"] = "features.0.2"
    for number in range(len(features) - 2):
        block: Any = features[number + 1]
        ours = f"features.{number + 1}."
        keras = f"block_{number}_" if number else "expanded_conv_"
        depthwise = f"{ours}conv.{len(block.conv) - 3}"
        if number:
            names |= {f"{keras}expand": f"{ours}conv.0.0", f"{keras}expand_BN": f"{ours}conv.0.1"}
            names[f"{keras}expand_relu"] = f"{ours}conv.0.2"
        if isinstance(block.conv[-3][0], PaddedConv2d):
            names[f"{keras}pad"] = f"{depthwise}.0.pad"
        names |= {f"{keras}depthwise": f"{depthwise}.0", f"{keras}depthwise_BN": f"{depthwise}.1"}
        names[f"{keras}depthwise_relu"] = f"{depthwise}.2"
        names[f"{keras}project"] = f"{ours}conv.{len(block.conv) - 2}"
        names[f"{keras}project_BN"] = f"{ours}conv.{len(block.conv) - 1}"
        if block.is_residual:
            names[f"{keras}add"] = f"{ours}add"
    top = f"features.{len(features) - 1}"
    return names | {"Conv_1": f"{top}.0", "Conv_1_bn": f"{top}.1", "out_relu": f"{top}.2"}
