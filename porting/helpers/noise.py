"""Keras's noise in training that torch has no module for. In evaluation none of it does anything."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NoiseShapeDropout(nn.Module):
    """Keras's Dropout with noise_shape: drops along the axes of size 1 as one (D49).

    Args:
        p: The share that is dropped; the others are scaled up.
        shape: Of the mask; None: the features' own size.
    """

    def __init__(self, p: float, shape: tuple[int | None, ...]) -> None:
        super().__init__()
        self.p, self.shape = p, shape

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return features
        sizes = [own if size is None else size for size, own in zip(self.shape, features.shape, strict=True)]
        kept = torch.rand(sizes, device=features.device) >= self.p
        return features * kept / (1 - self.p)


class GaussianNoise(nn.Module):
    """Keras's GaussianNoise: adds normal noise."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, features: Tensor) -> Tensor:
        return features + self.deviation * torch.randn_like(features) if self.training else features


class GaussianDropout(nn.Module):
    """Keras's GaussianDropout: normal factors of mean 1, variance p / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return features
        return features * (1 + (self.p / (1 - self.p)) ** 0.5 * torch.randn_like(features))
