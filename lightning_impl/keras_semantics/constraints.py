"""Keras's weight constraints, applied to a weight after each update of it.

A constraint's axes are Keras's: of a kernel `(height, width, in, out)` or `(in, out)`. Give it the weight in
that order, as a permuted view of torch's (keras 3.15 constraints/constraints.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from parity_common.command_errors import UserError

# keras.backend.epsilon(): keeps the norm of a weight of zeros from dividing by zero.
EPSILON = 1e-7

Constraint = Callable[[Tensor], Tensor]


def max_norm(max_value: float = 2.0, axis: Any = 0) -> Constraint:
    """Scales down what has a larger norm."""

    def constrain(weight: Tensor) -> Tensor:
        norms = _norms(weight, axis)
        return weight * (norms.clamp(0, max_value) / (EPSILON + norms))

    return constrain


def unit_norm(axis: Any = 0) -> Constraint:
    """Scales to norm 1."""
    return lambda weight: weight / (EPSILON + _norms(weight, axis))


def min_max_norm(
    min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
) -> Constraint:
    """Scales into a range of norms, by `rate` of the way."""

    def constrain(weight: Tensor) -> Tensor:
        norms = _norms(weight, axis)
        desired = rate * norms.clamp(min_value, max_value) + (1 - rate) * norms
        return weight * (desired / (EPSILON + norms))

    return constrain


def non_negative(weight: Tensor) -> Tensor:
    """Sets what is below zero to zero."""
    return weight * (weight >= 0).to(weight.dtype)


def constraint_from_keras_config(class_name: str, config: Mapping[str, Any]) -> Constraint:
    """A Keras constraint.

    Raises:
        UserError: One without a rule.
    """
    if class_name == "NonNeg":
        return non_negative
    makers: dict[str, Callable[..., Constraint]] = {
        "MaxNorm": max_norm,
        "UnitNorm": unit_norm,
        "MinMaxNorm": min_max_norm,
    }
    if class_name not in makers:
        raise UserError(f"no rule for the constraint {class_name}: {', '.join(makers)} and NonNeg have one")
    return makers[class_name](**config)


def _norms(weight: Tensor, axis: Any) -> Tensor:
    return weight.square().sum(axis, keepdim=True).sqrt()
