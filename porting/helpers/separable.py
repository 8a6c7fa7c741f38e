"""Keras's separable convolutions, as one module."""

from __future__ import annotations

from torch import Tensor, nn

from porting.helpers.padding import SameConv1d, SameConv2d


class SeparableConv1d(nn.Module):
    """Keras's SeparableConv1D: depthwise, then pointwise, which has the bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        multiplier: int = 1,
        same: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        convolution = SameConv1d if same else nn.Conv1d
        self.depthwise = convolution(
            in_channels,
            in_channels * multiplier,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv1d(in_channels * multiplier, out_channels, 1, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(features))


class SeparableConv2d(nn.Module):
    """Keras's SeparableConv2D: depthwise, then pointwise, which has the bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        dilation: int | tuple[int, int] = 1,
        multiplier: int = 1,
        same: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        convolution = SameConv2d if same else nn.Conv2d
        self.depthwise = convolution(
            in_channels,
            in_channels * multiplier,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv2d(in_channels * multiplier, out_channels, 1, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(features))
