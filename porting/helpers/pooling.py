"""Keras's pooling where torch has another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from porting.helpers.padding import pad_same


class SameMaxPool1d(nn.MaxPool1d):
    """Keras's MaxPooling1D with padding "same", which is never the largest (D07)."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(pad_same(features, self.kernel_size, self.stride, value=float("-inf")))


class SameMaxPool2d(nn.MaxPool2d):
    """Keras's MaxPooling2D with padding "same", which is never the largest (D07)."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(pad_same(features, self.kernel_size, self.stride, value=float("-inf")))


class SameMaxPool3d(nn.MaxPool3d):
    """Keras's MaxPooling3D with padding "same", which is never the largest (D07)."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(pad_same(features, self.kernel_size, self.stride, value=float("-inf")))


class SameAvgPool1d(nn.AvgPool1d):
    """Keras's AveragePooling1D with padding "same", no part of the mean (D07, D12)."""

    def forward(self, features: Tensor) -> Tensor:
        inside = pad_same(torch.ones_like(features[:1, :1]), self.kernel_size, self.stride)
        padded = pad_same(features, self.kernel_size, self.stride)
        return super().forward(padded) / super().forward(inside)


class SameAvgPool2d(nn.AvgPool2d):
    """Keras's AveragePooling2D with padding "same", no part of the mean (D07, D12)."""

    def forward(self, features: Tensor) -> Tensor:
        inside = pad_same(torch.ones_like(features[:1, :1]), self.kernel_size, self.stride)
        padded = pad_same(features, self.kernel_size, self.stride)
        return super().forward(padded) / super().forward(inside)


class SameAvgPool3d(nn.AvgPool3d):
    """Keras's AveragePooling3D with padding "same", no part of the mean (D07, D12)."""

    def forward(self, features: Tensor) -> Tensor:
        inside = pad_same(torch.ones_like(features[:1, :1]), self.kernel_size, self.stride)
        padded = pad_same(features, self.kernel_size, self.stride)
        return super().forward(padded) / super().forward(inside)


class GlobalMaxPool(nn.Module):
    """Keras's GlobalMaxPooling of `(N, C, ...)`: equal largest values share the gradient.

    nn.AdaptiveMaxPool gives all of it to one of them.
    """

    def __init__(self, keepdims: bool = False) -> None:
        super().__init__()
        self.keepdims = keepdims

    def forward(self, features: Tensor) -> Tensor:
        return features.amax(tuple(range(2, features.dim())), keepdim=self.keepdims)
