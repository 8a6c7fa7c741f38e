"""Keras's Adadelta."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.arguments import EPSILON, SharedArguments, checked_number
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast
from lightning_impl.keras_semantics.profile import Profile


class KerasAdadelta(KerasOptimizer):
    """d = sqrt(deltas + epsilon) g / sqrt(grads + epsilon); w <- w - lr d, both slots averages of squares.

    Source: keras 3.15 optimizers/adadelta.py, `update_step`; tf_keras 2.21 optimizers/legacy/adadelta.py and
    TensorFlow's ApplyAdadelta. Keras's learning rate is 0.001, torch's 1.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step.
        rho: Decay of the averages.
        epsilon: Added inside both roots.
        shared: See `SharedArguments`.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.001,
        rho: float = 0.95,
        epsilon: float = EPSILON,
        **shared: Unpack[SharedArguments],
    ) -> None:
        own = {
            "rho": checked_number("Adadelta", "rho", rho, 0, 1),
            "epsilon": checked_number("Adadelta", "epsilon", epsilon or 0.0, 0),
        }
        super().__init__(params, profile, learning_rate, own, shared)

    def _own_slots(self) -> dict[str, float]:
        legacy = self.profile.optimizers_are_legacy
        names = ("accum_grad", "accum_var") if legacy else ("accumulated_grad", "accumulated_delta_var")
        return dict.fromkeys(names, 0.0)

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        rho, rest = number(group["rho"]), 1 - group["rho"]
        if self.profile.optimizers_are_legacy:
            rho = cast(group["rho"], number)
            rest = 1 - rho
        squares, deltas = self._slot_lists(parameters, *self._own_slots())
        torch._foreach_mul_(squares, float(rho))
        torch._foreach_addcmul_(squares, gradients, gradients, float(rest))
        changes = torch._foreach_add(deltas, group["epsilon"])
        torch._foreach_sqrt_(changes)
        torch._foreach_mul_(changes, gradients)
        roots = torch._foreach_add(squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        torch._foreach_div_(changes, roots)
        torch._foreach_mul_(deltas, float(rho))
        torch._foreach_addcmul_(deltas, changes, changes, float(rest))
        torch._foreach_add_(parameters, changes, alpha=-float(self._learning_rate(group, number)))
