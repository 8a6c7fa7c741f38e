"""Keras's padding "same": an odd pixel goes to the bottom and right (D07). torch pads both sides alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from parity_common.command_errors import UserError


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """How much Keras puts before and after `size` pixels, so that ceil(size / stride) come out.

    tensorflow core/framework/common_shape_fns.cc, `GetWindowedOutputSizeVerbose`; keras 3.15
    backend/torch/nn.py, `_compute_padding_length`.
    """
    covered = (math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1
    total = max(covered - size, 0)
    return total // 2, total - total // 2


def pad_same(
    features: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int] | None = None,
    value: float = 0.0,
) -> Tensor:
    """Pads the last axes of `(N, C, W)` or `(N, C, H, W)`, one for each number in `kernel`.

    Args:
        features: Returned itself where nothing is to be padded.
        kernel: Pixels a side, as are `stride` and `dilation` (None: 1).
        stride: See kernel.
        dilation: See kernel.
        value: What stands in the padding.
    """
    sizes = features.shape[-len(kernel) :]
    padding: list[int] = []
    # functional.pad begins with the last axis.
    for size, *window in reversed(
        list(zip(sizes, kernel, stride, dilation or [1] * len(kernel), strict=True))
    ):
        padding += same_padding(size, *window)
    return nn.functional.pad(features, padding, value=value) if any(padding) else features


def _unpadded(arguments: dict[str, Any]) -> dict[str, Any]:
    for name in ("padding", "padding_mode"):
        if name in arguments:
            raise UserError(f"{name} beside Keras's padding same: leave it out, the layer pads by itself")
    return arguments


class SamePadConv1d(nn.Conv1d):
    """Keras's Conv1D(padding="same"); `padding="causal"` is another. Arguments, weight, bias: nn.Conv1d's.

    Raises:
        UserError: An argument `padding` or `padding_mode`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, **arguments: Any) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **_unpadded(arguments))

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, W)` to `(N, out, ceil(W / stride))`."""
        return super().forward(pad_same(features, self.kernel_size, self.stride, self.dilation))


class SamePadConv2d(nn.Conv2d):
    """Keras's Conv2D and DepthwiseConv2D with padding="same", any stride, dilation and groups.

    Arguments, weight and bias are nn.Conv2d's, so that a state dict fits either.

    Raises:
        UserError: An argument `padding` or `padding_mode`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int | tuple[int, int], **arguments: Any
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **_unpadded(arguments))

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, out, ceil(H / stride), ceil(W / stride))`."""
        return super().forward(pad_same(features, self.kernel_size, self.stride, self.dilation))
