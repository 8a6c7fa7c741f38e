"""EfficientNetB0 as keras.applications has it, of torchvision's modules, with torchvision's weight names."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torchvision
from torch import Tensor, nn

from lightning_impl.keras_semantics.layers import BatchNorm, DropoutPerImage
from lightning_impl.keras_semantics.pooling import GlobalAveragePool2d
from lightning_impl.keras_semantics.preprocessing import IMAGENET_DEVIATIONS, Normalization, Rescaling
from lightning_impl.keras_semantics.profile import TF24, Profile
from lightning_impl.models.backbones.parts import (
    ActivatedConv2d,
    Add,
    CorrectPad,
    Multiply,
    PaddedConv2d,
    changed,
    draw_efficientnet_kernels,
)
from parity_common.efficientnet import DROP_CONNECT_RATE


class EfficientNetB0(nn.Module):
    """keras.applications.EfficientNetB0(include_top=False).

    Against torchvision's: an odd pixel of padding goes to the bottom and right (D07), BatchNormalization has
    Keras's constants (D09, D10), images are normalised inside the net (D48).

    Args:
        profile: The Keras generation.
        preprocessing: "keras-imagenet": the input is divided by the roots of ImageNet's deviations once more,
            as keras.applications does where it is asked for weights="imagenet", and only there. TF 2.4 did
            not yet; tf_keras 2.21 and Keras 3.15 do (tensorflow issue 49930). "keras", "torchvision": it is
            not.
        drop_connect_rate: In [0, 1): how often the last residual branch is dropped in training, those before
            it in proportion (D49).
    """

    channels = 1280

    def __init__(
        self,
        profile: Profile = TF24,
        preprocessing: str = "keras",
        drop_connect_rate: float = DROP_CONNECT_RATE,
    ) -> None:
        super().__init__()
        source = torchvision.models.efficientnet_b0(
            norm_layer=partial(BatchNorm, profile=profile), stochastic_depth_prob=drop_connect_rate
        )
        self.rescaling = Rescaling(1 / 255)
        self.normalization = Normalization(3)
        self.rescaling_1: nn.Module | None = None
        if preprocessing == "keras-imagenet":
            self.rescaling_1 = Rescaling([1 / math.sqrt(deviation) for deviation in IMAGENET_DEVIATIONS])
        self.features = source.features
        self.features[0][0] = _padded(self.features[0][0])
        for stage in self.features[1:-1]:
            for place, block in enumerate(stage):
                stage[place] = InvertedResidual(block)
        draw_efficientnet_kernels(self)
        self.keras_names = _keras_names(self)

    def forward(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` of 0-255 to features `(N, 1280, ceil(H / 32), ceil(W / 32))`."""
        x = self.normalization(self.rescaling(images))
        return self.features(x if self.rescaling_1 is None else self.rescaling_1(x))


class InvertedResidual(nn.Module):
    """One block: torchvision's MBConv, its children altered and the adding a module.

    Args:
        block: torchvision's.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block.block
        depthwise = self.block[-3]
        if depthwise[0].stride == (2, 2):
            depthwise[0] = _padded(depthwise[0])
        self.block[-2] = SqueezeExcitation(self.block[-2])
        self.is_residual = block.use_res_connect
        if self.is_residual:
            self.stochastic_depth = DropoutPerImage(block.stochastic_depth.p)
            self.add = Add()

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)`."""
        x = self.block(features)
        return self.add(self.stochastic_depth(x), features) if self.is_residual else x


class SqueezeExcitation(nn.Module):
    """torchvision's, with its steps as Keras divides them into layers.

    Args:
        source: torchvision's.
    """

    def __init__(self, source: Any) -> None:
        super().__init__()
        self.avgpool = GlobalAveragePool2d()
        self.reshape = nn.Unflatten(1, (source.fc1.in_channels, 1, 1))
        self.fc1 = changed(source.fc1, ActivatedConv2d, activation=nn.SiLU(inplace=True))
        self.fc2 = changed(source.fc2, ActivatedConv2d, activation=nn.Sigmoid())
        self.multiply = Multiply()

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)`."""
        scale = self.fc2(self.fc1(self.reshape(self.avgpool(features))))
        return self.multiply(features, scale)


def _padded(convolution: nn.Conv2d) -> PaddedConv2d:
    return changed(convolution, PaddedConv2d, padding=0, pad=CorrectPad(convolution.kernel_size[0]))


def _keras_names(net: EfficientNetB0) -> dict[str, str]:
    """Keras's layers, in Keras's order, to the modules that stand for them."""
    features = net.features
    names = {"rescaling": "rescaling", "normalization": "normalization"}
    if net.rescaling_1 is not None:
        names["rescaling_1"] = "rescaling_1"
    names |= {"stem_conv_pad": "features.0.0.pad", "stem_conv": "features.0.0"}
    names |= {"stem_bn": "features.0.1", "stem_activation": "features.0.2"}
    for stage in range(1, len(features) - 1):
        for place, block in enumerate(features[stage]):
            keras, ours = f"block{stage}{'abcd'[place]}_", f"features.{stage}.{place}."
            first = 0
            if len(block.block) == 4:
                names |= {f"{keras}expand_conv": f"{ours}block.0.0", f"{keras}expand_bn": f"{ours}block.0.1"}
                names[f"{keras}expand_activation"] = f"{ours}block.0.2"
                first = 1
            depthwise, squeeze, project = (f"{ours}block.{first + step}" for step in range(3))
            if isinstance(block.block[first][0], PaddedConv2d):
                names[f"{keras}dwconv_pad"] = f"{depthwise}.0.pad"
            names |= {f"{keras}dwconv": f"{depthwise}.0", f"{keras}bn": f"{depthwise}.1"}
            names[f"{keras}activation"] = f"{depthwise}.2"
            names |= {f"{keras}se_squeeze": f"{squeeze}.avgpool", f"{keras}se_reshape": f"{squeeze}.reshape"}
            names |= {f"{keras}se_reduce": f"{squeeze}.fc1", f"{keras}se_expand": f"{squeeze}.fc2"}
            names[f"{keras}se_excite"] = f"{squeeze}.multiply"
            names |= {f"{keras}project_conv": f"{project}.0", f"{keras}project_bn": f"{project}.1"}
            if block.is_residual:
                names |= {f"{keras}drop": f"{ours}stochastic_depth", f"{keras}add": f"{ours}add"}
    top = f"features.{len(features) - 1}"
    return names | {"top_conv": f"{top}.0", "top_bn": f"{top}.1", "top_activation": f"{top}.2"}
