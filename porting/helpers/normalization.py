"""Keras's normalization where torch has another."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class KerasBatchNorm2d(nn.BatchNorm2d):
    """The running variance takes the batch's biased one, as Keras's does (D03)."""

    running_var: Tensor
    momentum: float

    def forward(self, features: Tensor) -> Tensor:
        if not self.training:
            return super().forward(features)
        if features.numel() == features.shape[1]:
            # torch refuses a single value; two of it have the same mean and variance.
            return self(torch.cat([features, features]))[:1]
        kept = self.running_var * (1 - self.momentum)
        normalised = super().forward(features)
        count = features.numel() / features.shape[1]
        self.running_var = kept + (self.running_var - kept) * (count - 1) / count
        return normalised


class KerasBatchNorm(nn.Module):
    """Keras's BatchNormalization over axis 1, whose running variance is biased (D03).

    Args:
        channels: Size of axis 1.
        eps: Added to the variance.
        momentum: torch's: the weight of the new statistic, 1 - Keras's.
        scale: Whether there is a weight.
        center: Whether there is a bias.
        biased: False: the running variance is unbiased, as nn.BatchNorm's.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        channels: int,
        eps: float,
        momentum: float,
        scale: bool = True,
        center: bool = True,
        biased: bool = True,
    ) -> None:
        super().__init__()
        self.eps, self.momentum, self.biased = eps, momentum, biased
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if center else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        if self.training and features.numel() == features.shape[1]:
            # torch refuses a single value; two of it have the same mean and variance.
            return self(torch.cat([features, features]))[:1]
        old = self.running_var.clone()
        # torch may not write into what the backward pass needs: it gets a copy.
        new = self.running_var.clone() if self.training else self.running_var
        normalised = F.batch_norm(
            features, self.running_mean, new, self.weight, self.bias, self.training, self.momentum, self.eps
        )
        if self.training:
            count = features.numel() // features.shape[1]
            share = (count - 1) / count if self.biased else 1.0
            kept = old * (1 - self.momentum)
            self.running_var.copy_(kept + (new - kept) * share)
        return normalised


class Affine(nn.Module):
    """A factor or a summand for each channel."""

    def __init__(self, channels: int, scale: bool = True, center: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if center else None

    def forward(self, features: Tensor) -> Tensor:
        per_channel = (-1,) + (1,) * (features.dim() - 2)
        if self.weight is not None:
            features = features * self.weight.view(per_channel)
        return features if self.bias is None else features + self.bias.view(per_channel)


class UnitNorm(nn.Module):
    """Keras's UnitNormalization: divides by the length over axes, by no less than `eps`."""

    def __init__(self, dim: int | tuple[int, ...], eps: float = 1e-12) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, features: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(features, dim=self.dim, keepdim=True)
        return features / length.clamp(min=self.eps)
