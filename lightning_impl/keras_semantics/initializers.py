"""Keras's initialisers, in place on torch parameters. Biases start at zero, as in Keras."""

from __future__ import annotations

import math

from torch import Tensor, nn

# The standard deviation of a unit normal cut off at +-2, by which Keras corrects the spread:
# keras 3.15 initializers/random_initializers.py, VarianceScaling.
TRUNCATED_NORMAL_STD = 0.87962566103423978


def he_normal_(weight: Tensor) -> Tensor:
    """Keras's he_normal: a normal cut off at two of its own deviations, variance 2 / fan_in.

    nn.init.kaiming_normal_ does not truncate.

    Args:
        weight: `(out, in)` or `(out, in, kh, kw)`, changed in place.
    """
    fan_in, _ = nn.init._calculate_fan_in_and_fan_out(weight)
    std = math.sqrt(2.0 / fan_in) / TRUNCATED_NORMAL_STD
    return nn.init.trunc_normal_(weight, mean=0.0, std=std, a=-2 * std, b=2 * std)


def glorot_uniform_(weight: Tensor) -> Tensor:
    """Keras's default kernel initialiser: uniform in +-sqrt(6 / (fan_in + fan_out)).

    Args:
        weight: `(out, in)` or `(out, in, kh, kw)`, changed in place.
    """
    return nn.init.xavier_uniform_(weight)


def initialise_(model: nn.Module, kernel_initialiser=glorot_uniform_) -> None:
    """Gives every convolution and dense layer of `model` Keras's start: kernels as told, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            kernel_initialiser(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
