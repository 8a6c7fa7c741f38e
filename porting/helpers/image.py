"""Keras's layers for images on their way into a net."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Rescaling(nn.Module):
    """Keras's Rescaling: `features * scale + offset`, for all or each channel."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0) -> None:
        super().__init__()
        # No weights: not in the state dict.
        self.register_buffer("scale", torch.as_tensor(scale), persistent=False)
        self.register_buffer("offset", torch.as_tensor(offset), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        per_channel = (-1,) + (1,) * (features.dim() - 2)
        return features * self.scale.view(per_channel) + self.offset.view(per_channel)


class Normalization(nn.Module):
    """Keras's Normalization by a mean and a deviation that are not trained.

    Args:
        shape: Of both, without the batch axis; 1 where an axis shares them.
        invert: Multiplies and adds instead.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, *shape: int, invert: bool = False) -> None:
        super().__init__()
        self.invert = invert
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))

    def forward(self, features: Tensor) -> Tensor:
        deviation = self.variance.sqrt().clamp(min=1e-7)
        if self.invert:
            return features * deviation + self.mean
        return (features - self.mean) / deviation


class Resize(nn.Module):
    """Resizes `(N, C, H, W)`.

    Args:
        size: The new height and width.
        mode: F.interpolate's.
        antialias: F.interpolate's.
    """

    def __init__(self, size: tuple[int, int], mode: str = "bilinear", antialias: bool = False) -> None:
        super().__init__()
        self.size, self.mode, self.antialias = size, mode, antialias

    def forward(self, features: Tensor) -> Tensor:
        return F.interpolate(features, self.size, mode=self.mode, antialias=self.antialias)


class FixedNormalization(nn.Module):
    """Keras's Normalization by numbers, laid out as one example is."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: list, variance: list, invert: bool = False) -> None:
        super().__init__()
        self.invert = invert
        # No weights: not in the state dict.
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("deviation", torch.tensor(variance).sqrt().clamp(min=1e-7), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        if self.invert:
            return features * self.deviation + self.mean
        return (features - self.mean) / self.deviation
