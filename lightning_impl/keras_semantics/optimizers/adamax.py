"""Keras's Adamax."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.adam import checked_betas
from lightning_impl.keras_semantics.optimizers.arguments import EPSILON, SharedArguments
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast, power
from lightning_impl.keras_semantics.profile import Profile


class KerasAdamax(KerasOptimizer):
    """u <- max(beta_2 u, |g|); w <- w - lr / (1 - beta_1^t) m / (u + epsilon).

    Source: keras 3.15 optimizers/adamax.py, `update_step`; tf_keras 2.21 optimizers/legacy/adamax.py and
    TensorFlow's ApplyAdaMax. torch.optim.Adamax adds epsilon to |g| inside the maximum.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step.
        beta_1: Decay of the gradients' average.
        beta_2: Decay of their largest size.
        epsilon: Added to u.
        shared: See `SharedArguments`.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = EPSILON,
        **shared: Unpack[SharedArguments],
    ) -> None:
        own = checked_betas("Adamax", beta_1, beta_2, epsilon)
        super().__init__(params, profile, learning_rate, own, shared)

    def _own_slots(self) -> dict[str, float]:
        legacy = self.profile.optimizers_are_legacy
        return dict.fromkeys(("m", "v") if legacy else ("momentum", "norm"), 0.0)

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        beta_1, beta_2 = cast(group["beta_1"], number), number(group["beta_2"])
        step_size = self._learning_rate(group, number) / (1 - power(beta_1, number(self.iterations + 1)))
        # Keras 3 rounds beta_1 for the correction only.
        rest = 1 - group["beta_1"]
        if self.profile.optimizers_are_legacy:
            beta_2 = cast(group["beta_2"], number)
            rest = 1 - beta_1
        first, largest = self._slot_lists(parameters, *self._own_slots())
        torch._foreach_lerp_(first, gradients, float(rest))
        torch._foreach_mul_(largest, float(beta_2))
        torch._foreach_maximum_(largest, torch._foreach_abs(gradients))
        sizes = torch._foreach_add(largest, group["epsilon"])
        torch._foreach_addcdiv_(parameters, first, sizes, -float(step_size))
