"""Keras's Adagrad, whose accumulators start at 0.1."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.arguments import EPSILON, SharedArguments, checked_number
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.rounding import Number
from lightning_impl.keras_semantics.profile import Profile


def initial_accumulator(value: float, profile: Profile) -> float:
    """What an accumulator is filled with: Keras 3's Constant initializer casts, the legacy one does not."""
    return float(value if profile.optimizers_are_legacy else np.float32(value))


class KerasAdagrad(KerasOptimizer):
    """a <- a + g^2; w <- w - lr g / sqrt(a + epsilon), legacy lr g / (sqrt(a) + epsilon).

    Source: keras 3.15 optimizers/adagrad.py, `update_step`; tf_keras 2.21 optimizers/legacy/adagrad.py and
    TensorFlow's ApplyAdagradV2.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step.
        initial_accumulator_value: What a starts at.
        epsilon: See above.
        shared: See `SharedArguments`.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = EPSILON,
        **shared: Unpack[SharedArguments],
    ) -> None:
        start = checked_number("Adagrad", "initial_accumulator_value", initial_accumulator_value, 0)
        own = {
            "initial_accumulator_value": start,
            "epsilon": checked_number("Adagrad", "epsilon", epsilon or 0.0, 0),
        }
        super().__init__(params, profile, learning_rate, own, shared)

    def _own_slots(self) -> dict[str, float]:
        start = self.param_groups[0]["initial_accumulator_value"]
        return {"accumulator": initial_accumulator(start, self.profile)}

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        (accumulators,) = self._slot_lists(parameters, "accumulator")
        torch._foreach_addcmul_(accumulators, gradients, gradients)
        if self.profile.adagrad_epsilon_inside_root:
            roots = torch._foreach_add(accumulators, group["epsilon"])
            torch._foreach_sqrt_(roots)
        else:
            roots = torch._foreach_sqrt(accumulators)
            torch._foreach_add_(roots, group["epsilon"])
        torch._foreach_addcdiv_(parameters, gradients, roots, -float(self._learning_rate(group, number)))
