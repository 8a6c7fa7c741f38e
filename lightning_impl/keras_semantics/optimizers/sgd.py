"""Keras's SGD: the learning rate lies inside the velocity, so a change of it acts on later steps only."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.arguments import SharedArguments, checked_number
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast
from lightning_impl.keras_semantics.profile import Profile


class KerasSGD(KerasOptimizer):
    """velocity <- momentum velocity - lr g; w <- w + velocity, or with Nesterov w + momentum velocity - lr g.

    Source: keras 3.15 optimizers/sgd.py, `update_step`; tf_keras 2.21 optimizers/legacy/gradient_descent.py.
    torch.optim.SGD keeps the learning rate out of the velocity.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step.
        momentum: Within [0, 1]; 0 keeps no velocity.
        nesterov: Whether to look ahead.
        shared: See `SharedArguments`.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **shared: Unpack[SharedArguments],
    ) -> None:
        own = {"momentum": checked_number("SGD", "momentum", momentum, 0, 1), "nesterov": bool(nesterov)}
        super().__init__(params, profile, learning_rate, own, shared)

    def _own_slots(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.param_groups[0]["momentum"] else {}

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        rate = float(self._learning_rate(group, number))
        momentum = float(cast(group["momentum"], number))
        if not momentum:
            torch._foreach_add_(parameters, gradients, alpha=-rate)
            return
        (velocities,) = self._slot_lists(parameters, "momentum")
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients, alpha=-rate)
        if group["nesterov"]:
            torch._foreach_add_(parameters, velocities, alpha=momentum)
            torch._foreach_add_(parameters, gradients, alpha=-rate)
        else:
            torch._foreach_add_(parameters, velocities)
