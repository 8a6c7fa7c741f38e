"""Keras's padding "same" (D07): an odd pixel goes behind, torch's own pads both sides alike."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


def pad_same(
    features: Tensor,
    kernel: int | Sequence[int],
    stride: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    value: float = 0.0,
) -> Tensor:
    """Pads so that ceil(size / stride) come out; an odd pixel goes behind (D07)."""
    sizes = features.shape[2:]
    kernel, stride, dilation = (
        (each,) * len(sizes) if isinstance(each, int) else each for each in (kernel, stride, dilation)
    )
    padding: list[int] = []
    # F.pad begins with the last axis.
    for size, reach, step, gap in reversed(list(zip(sizes, kernel, stride, dilation, strict=True))):
        total = max((-(-size // step) - 1) * step + (reach - 1) * gap + 1 - size, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(features, padding, value=value) if any(padding) else features


class SameConv1d(nn.Conv1d):
    """Keras's Conv1D with padding "same" (D07)."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(pad_same(features, self.kernel_size, self.stride, self.dilation))


class SameConv2d(nn.Conv2d):
    """Keras's Conv2D and DepthwiseConv2D with padding "same" (D07)."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(pad_same(features, self.kernel_size, self.stride, self.dilation))


class SameConv3d(nn.Conv3d):
    """Keras's Conv3D with padding "same" (D07)."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(pad_same(features, self.kernel_size, self.stride, self.dilation))


class Crop(nn.Module):
    """Cuts off the edges of `(N, C, ...)`.

    Args:
        edges: Of each axis behind the channels, how much goes in front and behind.
    """

    def __init__(self, *edges: tuple[int, int]) -> None:
        super().__init__()
        self.edges = edges

    def forward(self, features: Tensor) -> Tensor:
        sides = zip(features.shape[2:], self.edges, strict=True)
        kept = [slice(front, size - behind) for size, (front, behind) in sides]
        return features[(slice(None), slice(None), *kept)]
