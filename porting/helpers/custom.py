"""A function of the user's own that needs a layer's weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class WithWeights(nn.Module):
    """A function of tensors and, behind them, of weights.

    Args:
        function: Takes the layer's inputs and then its weights, in the order of `shapes`.
        shapes: Of the weights, by their names.
    """

    def __init__(self, function: Callable[..., Tensor], **shapes: tuple[int, ...]) -> None:
        super().__init__()
        self.function = function
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs, *self.parameters())
