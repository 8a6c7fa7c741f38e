"""Keras's Ftrl, "follow the regularized leader": weights are made anew from the slots at every step."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.adagrad import initial_accumulator
from lightning_impl.keras_semantics.optimizers.arguments import SharedArguments, checked_number
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast
from lightning_impl.keras_semantics.profile import Profile

TensorList = list[Tensor] | tuple[Tensor, ...]


class KerasFtrl(KerasOptimizer):
    """With p = -learning_rate_power and n' = n + g^2, n the accumulator and z the linear slot:

        z <- z + g + 2 shrinkage w - (n'^p - n^p) / lr w
        w <- (clip(z, -l1, l1) - z) / (n'^p / lr + 2 (l2 + beta / (2 lr)))

    Source: keras 3.15 optimizers/ftrl.py, `update_step`; tf_keras 2.21 optimizers/legacy/ftrl.py and
    TensorFlow's ApplyFtrlV2. torch has no such optimizer.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step, above 0.
        learning_rate_power: 0 or below.
        initial_accumulator_value: What n starts at.
        l1_regularization_strength: l1.
        l2_regularization_strength: l2.
        l2_shrinkage_regularization_strength: shrinkage.
        beta: See above.
        shared: See `SharedArguments`.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **shared: Unpack[SharedArguments],
    ) -> None:
        at_least_0 = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        own = {name: checked_number("Ftrl", name, value, 0) for name, value in at_least_0.items()}
        own["learning_rate_power"] = checked_number(
            "Ftrl", "learning_rate_power", learning_rate_power, high=0
        )
        own["beta"] = checked_number("Ftrl", "beta", beta)
        super().__init__(params, profile, learning_rate, own, shared)

    def _own_slots(self) -> dict[str, float]:
        start = self.param_groups[0]["initial_accumulator_value"]
        return {"accumulator": initial_accumulator(start, self.profile), "linear": 0.0}

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        # Only the legacy optimizer rounds these.
        rounded = cast if self.profile.optimizers_are_legacy else _as_it_is
        names = ("learning_rate_power", "l1_regularization_strength", "l2_regularization_strength")
        power, l1, l2 = (rounded(group[name], number) for name in names)
        shrinkage = rounded(group["l2_shrinkage_regularization_strength"], number)
        rate = self._learning_rate(group, number)
        l2 = l2 + rounded(group["beta"], number) / (2 * rate)
        accumulators, linears = self._slot_lists(parameters, "accumulator", "linear")
        old_powers = _powers(accumulators, -float(power))
        torch._foreach_addcmul_(accumulators, gradients, gradients)
        new_powers = _powers(accumulators, -float(power))
        # In Keras's order: linears are large, and each addition to them rounds.
        changes = torch._foreach_sub(new_powers, old_powers)
        torch._foreach_div_(changes, float(rate))
        torch._foreach_mul_(changes, parameters)
        if shrinkage:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=float(2 * shrinkage)))
        torch._foreach_sub_(changes, gradients)
        torch._foreach_sub_(linears, changes)
        torch._foreach_div_(new_powers, float(rate))
        torch._foreach_add_(new_powers, float(2 * l2))
        weights = torch._foreach_clamp_max(linears, float(l1))
        torch._foreach_clamp_min_(weights, -float(l1))
        torch._foreach_sub_(weights, linears)
        torch._foreach_div_(weights, new_powers)
        torch._foreach_copy_(parameters, weights)


def _as_it_is(value: float, number: Number) -> Number:
    return number(value)


def _powers(tensors: list[Tensor], exponent: float) -> TensorList:
    return torch._foreach_sqrt(tensors) if exponent == 0.5 else torch._foreach_pow(tensors, exponent)
