"""Activations that torch has no module for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HardSigmoid(nn.Module):
    """Keras's hard_sigmoid up to TF 2: torch's and Keras 3's is x / 6 + 0.5 (D14)."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.clamp(0.2 * features + 0.5, 0.0, 1.0)


class Exponential(nn.Module):
    """e to the power of each value."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.exp(features)


class CappedReLU(nn.Module):
    """Keras's ReLU with all its arguments.

    Args:
        slope: Below the threshold: slope * (x - threshold).
        ceiling: The largest value; None: there is none.
        threshold: What does not lie above it is cut.
    """

    def __init__(self, slope: float = 0.0, ceiling: float | None = None, threshold: float = 0.0) -> None:
        super().__init__()
        self.slope, self.ceiling, self.threshold = slope, ceiling, threshold

    def forward(self, features: Tensor) -> Tensor:
        kept = F.threshold(features, self.threshold, 0.0)
        if self.ceiling is not None:
            kept = kept.clamp(0.0, self.ceiling)
        return kept - self.slope * F.relu(self.threshold - features) if self.slope else kept


class SoftmaxOver(nn.Module):
    """A softmax over several axes at once."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, features: Tensor) -> Tensor:
        return torch.exp(features - torch.logsumexp(features, self.axes, keepdim=True))


class KerasPReLU(nn.Module):
    """Keras's PReLU: a slope for each place, not only for each channel.

    Args:
        shape: Of the slopes, without the batch axis; 1 where an axis shares them.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(features) - self.weight * F.relu(-features)
