"""Activations that Keras and torch define otherwise (D14). All others are torch's own.

Sources: tf_keras 2.21 backend.py and layers/activation; keras 3.15 activations/activations.py and
backend/tensorflow/nn.py; tensorflow 2.21 ops/nn_ops.py.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.optimizers.rounding import cast
from lightning_impl.keras_semantics.profile import TF24, Profile

# The layer's default; the function leaky_relu's is 0.2, torch's 0.01.
LEAKY_RELU_SLOPE = 0.3
# TensorFlow casts these two from Python, through float32.
GELU_CUBIC = float(cast(0.044715, np.float64))
INVERSE_SQRT_2 = float(cast(0.7071067811865476, np.float64))
SQRT_2_OVER_PI = 0.7978845608028654


class HardSigmoid(nn.Module):
    """A line cut off at 0 and 1: 0.2 x + 0.5 up to TF 2, x / 6 + 0.5 in Keras 3 and torch.

    Args:
        profile: The Keras generation.
    """

    def __init__(self, profile: Profile = TF24) -> None:
        super().__init__()
        self.slope_is_a_fifth = profile.hard_sigmoid_slope_is_a_fifth

    def forward(self, features: Tensor) -> Tensor:
        line = features * 0.2 if self.slope_is_a_fifth else features / 6
        return (line + 0.5).clamp(0, 1)


class LeakyReLU(nn.LeakyReLU):
    """torch's, with Keras's slope below 0, which TensorFlow takes as a float32 number in any model.

    Args:
        negative_slope: Keras's `alpha`, in Keras 3 `negative_slope`.
    """

    def __init__(self, negative_slope: float = LEAKY_RELU_SLOPE) -> None:
        super().__init__(float(cast(negative_slope, np.float64)))


class GELU(nn.Module):
    """Keras's gelu: x times the normal distribution's function, or its approximation by tanh.

    Constants pass through float32, in a float64 model too.

    Args:
        approximate: Whether to take the approximation.
    """

    def __init__(self, approximate: bool = False) -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, features: Tensor) -> Tensor:
        if self.approximate:
            cubic = features + GELU_CUBIC * features**3
            return 0.5 * features * (1 + torch.tanh(SQRT_2_OVER_PI * cubic))
        return 0.5 * features * torch.erfc(-features * INVERSE_SQRT_2)
