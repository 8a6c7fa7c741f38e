"""What both sides' EfficientNets have in common: how often branches are dropped, and the shape of Lite0.

tensorflow/tpu models/official/efficientnet/efficientnet_builder.py (`_DEFAULT_BLOCKS_ARGS`) and
lite/efficientnet_lite_builder.py: without squeeze-and-excitation.
"""

from __future__ import annotations

from dataclasses import dataclass

STEM_CHANNELS = 32
TOP_CHANNELS = 1280
# How often the last residual branch is dropped: efficientnet_lite_builder.py, `efficientnet_lite`, and keras
# 3.15 applications/efficientnet.py, `EfficientNet`, whose EfficientNetB0 takes no other.
DROP_CONNECT_RATE = 0.2
# Blocks, kernel size, stride of the first, factor of widening, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Block:
    """One inverted residual.

    Attributes:
        name: As keras.applications' EfficientNet names its blocks: `block2a`.
        kernel_size: Of the depthwise convolution, in pixels a side.
        stride: The same.
        channels_before: What comes in.
        wide_channels: What the depthwise convolution sees.
        channels: What goes out.
        drop_rate: How often the branch is dropped in training; 0 where it is no residual one.
    """

    name: str
    kernel_size: int
    stride: int
    channels_before: int
    wide_channels: int
    channels: int
    drop_rate: float

    @property
    def is_widened(self) -> bool:
        return self.wide_channels != self.channels_before

    @property
    def is_residual(self) -> bool:
        return self.stride == 1 and self.channels_before == self.channels


def lite_blocks(drop_connect_rate: float = DROP_CONNECT_RATE) -> list[Block]:
    """The blocks from first to last.

    Args:
        drop_connect_rate: In [0, 1): of block b of n the rate is this times b / n, from 0.

    Example:
        >>> [block.name for block in lite_blocks()][:3]
        ['block1a', 'block2a', 'block2b']
    """
    count = sum(stage[0] for stage in _STAGES)
    blocks: list[Block] = []
    before = STEM_CHANNELS
    for number, (repeats, kernel_size, first_stride, factor, channels) in enumerate(_STAGES, 1):
        for place in range(repeats):
            stride = first_stride if place == 0 else 1
            is_residual = stride == 1 and before == channels
            rate = drop_connect_rate * len(blocks) / count if is_residual else 0.0
            name = f"block{number}{'abcd'[place]}"
            blocks.append(Block(name, kernel_size, stride, before, before * factor, channels, rate))
            before = channels
    return blocks


def package_names() -> dict[str, str]:
    """Keras's names of the layers with weights, in Keras's order, to those in the package's file.

    See parity_common.installed_weights; `_fc`, the classifier of ImageNet's 1,000 classes, is left out.
    """
    names = {"stem_conv": "_conv_stem", "stem_bn": "_bn0"}
    for number, block in enumerate(lite_blocks()):
        keras, theirs = f"{block.name}_", f"_blocks.{number}._"
        if block.is_widened:
            names |= {f"{keras}expand_conv": f"{theirs}expand_conv", f"{keras}expand_bn": f"{theirs}bn0"}
        names |= {f"{keras}dwconv": f"{theirs}depthwise_conv", f"{keras}bn": f"{theirs}bn1"}
        names |= {f"{keras}project_conv": f"{theirs}project_conv", f"{keras}project_bn": f"{theirs}bn2"}
    return names | {"top_conv": "_conv_head", "top_bn": "_bn1"}
