"""Changes of shape that torch has no module for."""

from __future__ import annotations

from torch import Tensor, nn


class Permute(nn.Module):
    """Puts the axes into another order, as torch's Tensor.permute."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(self.axes)


class Flatten(nn.Module):
    """Keras's Flatten of `(N, C, ...)`: channels come last, as they do there (D08)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.movedim(1, -1).flatten(1)


class Reshape(nn.Module):
    """Gives each example another shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, features: Tensor) -> Tensor:
        return features.reshape(len(features), *self.shape)


class RepeatVector(nn.Module):
    """Keras's RepeatVector: `(N, C)` to `(N, count, C)`."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, features: Tensor) -> Tensor:
        return features.unsqueeze(1).expand(-1, self.count, -1)
