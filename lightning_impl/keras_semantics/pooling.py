"""Keras's pooling where torch's is another: padding "same", and the global ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.padding import pad_same

Pixels = int | tuple[int, int]


class _SamePool2d(nn.Module):
    def __init__(self, kernel_size: Pixels, stride: Pixels | None = None) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        self.stride = self.kernel_size if stride is None else _pair(stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class SameMaxPool2d(_SamePool2d):
    """Keras's MaxPooling2D(padding="same"): what is padded is never the largest.

    Of equal values in a window the first, row by row, takes the gradient, as in both frameworks.

    Args:
        kernel_size: Keras's pool_size.
        stride: Keras's strides; None is the kernel's size.
    """

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C, ceil(H / stride), ceil(W / stride))`."""
        padded = pad_same(features, self.kernel_size, self.stride, value=float("-inf"))
        return nn.functional.max_pool2d(padded, self.kernel_size, self.stride)


class SameAveragePool2d(_SamePool2d):
    """Keras's AveragePooling2D(padding="same"): means over the pixels there are, padding left out (D12).

    nn.AvgPool2d(count_include_pad=False) leaves it out, too, but pads both sides alike.

    Args:
        kernel_size: Keras's pool_size.
        stride: Keras's strides; None is the kernel's size.
    """

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C, ceil(H / stride), ceil(W / stride))`."""
        padded = pad_same(features, self.kernel_size, self.stride)
        if padded is features:
            return nn.functional.avg_pool2d(features, self.kernel_size, self.stride)
        # In place of a mean: the sum, and the number of pixels that are no padding.
        ones = torch.ones((1, 1, *features.shape[2:]), dtype=features.dtype, device=features.device)
        counts = self._sums(pad_same(ones, self.kernel_size, self.stride))
        return self._sums(padded) / counts

    def _sums(self, padded: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(padded, self.kernel_size, self.stride, divisor_override=1)


class GlobalAveragePool2d(nn.Module):
    """Keras's GlobalAveragePooling2D.

    Args:
        keepdims: Whether the answer is `(N, C, 1, 1)` and not `(N, C)`.
    """

    def __init__(self, keepdims: bool = False) -> None:
        super().__init__()
        self.keepdims = keepdims

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C)`."""
        return features.mean((2, 3), keepdim=self.keepdims)


class GlobalMaxPool2d(nn.Module):
    """Keras's GlobalMaxPooling2D: equal largest values share the gradient.

    nn.AdaptiveMaxPool2d gives all of it to one of them.

    Args:
        keepdims: Whether the answer is `(N, C, 1, 1)` and not `(N, C)`.
    """

    def __init__(self, keepdims: bool = False) -> None:
        super().__init__()
        self.keepdims = keepdims

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, C)`."""
        return features.amax((2, 3), keepdim=self.keepdims)


def _pair(pixels: Pixels) -> tuple[int, int]:
    return (pixels, pixels) if isinstance(pixels, int) else (pixels[0], pixels[1])
