"""Keras's layers around layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TimeDistributed(nn.Module):
    """Keras's TimeDistributed: calls a layer on each step of `(N, T, ...)`."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor) -> Tensor:
        return self.layer(features.flatten(0, 1)).unflatten(0, features.shape[:2])


class Bidirectional(nn.Module):
    """Keras's Bidirectional: two recurrent layers on `(N, T, features)`.

    Args:
        onwards: From the first step to the last.
        backwards: From the last step to the first.
        merge: "concat", "sum", "mul" or "ave".
        sequences: Whether both give an output for every step: then the second's are turned.
    """

    def __init__(
        self, onwards: nn.Module, backwards: nn.Module, merge: str = "concat", sequences: bool = False
    ) -> None:
        super().__init__()
        self.onwards, self.backwards = onwards, backwards
        self.merge, self.sequences = merge, sequences

    def forward(self, features: Tensor) -> Tensor:
        first, second = self.onwards(features), self.backwards(features)
        if self.sequences:
            second = second.flip(1)
        if self.merge == "concat":
            return torch.cat([first, second], dim=-1)
        if self.merge == "mul":
            return first * second
        return (first + second) / 2 if self.merge == "ave" else first + second
