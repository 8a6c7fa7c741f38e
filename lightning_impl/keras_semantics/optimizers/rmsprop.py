"""Keras's RMSprop, with its three rules for epsilon."""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.arguments import EPSILON, SharedArguments, checked_number
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast
from lightning_impl.keras_semantics.profile import Profile


class KerasRMSprop(KerasOptimizer):
    """v <- rho v + (1 - rho) g^2, less the squared average of g where centered; then one of three updates.

    | generation | momentum 0 | momentum above 0 |
    |---|---|---|
    | Keras 3 | g / sqrt(v + epsilon) | g / sqrt(v + epsilon) |
    | legacy | g / (sqrt(v) + epsilon) | g / sqrt(v + epsilon) |

    The learning rate lies inside the momentum.

    Source: keras 3.15 optimizers/rmsprop.py, `update_step`; tf_keras 2.21 optimizers/legacy/rmsprop.py and
    TensorFlow's ApplyRMSProp.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step.
        rho: Decay of the averages.
        momentum: Within [0, 1]; 0 keeps none.
        epsilon: Added inside the root or outside it, see above.
        centered: Whether the variance of the gradients takes their mean square's place.
        shared: See `SharedArguments`.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = EPSILON,
        centered: bool = False,
        **shared: Unpack[SharedArguments],
    ) -> None:
        own = {
            "rho": checked_number("RMSprop", "rho", rho, 0, 1),
            "momentum": checked_number("RMSprop", "momentum", momentum, 0, 1),
            "epsilon": checked_number("RMSprop", "epsilon", epsilon or 0.0, 0),
            "centered": bool(centered),
        }
        super().__init__(params, profile, learning_rate, own, shared)

    @property
    def _names(self) -> tuple[str, str, str]:
        legacy = self.profile.optimizers_are_legacy
        return ("rms", "momentum", "mg") if legacy else ("velocity", "momentum", "average_gradient")

    def _own_slots(self) -> dict[str, float]:
        shared = self.param_groups[0]
        has = (True, shared["momentum"] > 0, shared["centered"])
        return {name: 0.0 for name, wanted in zip(self._names, has, strict=True) if wanted}

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        squares_name, momentum_name, means_name = self._names
        rate = float(self._learning_rate(group, number))
        rho, rest, momentum = number(group["rho"]), 1 - group["rho"], number(group["momentum"])
        if self.profile.optimizers_are_legacy:
            rho, momentum = cast(group["rho"], number), cast(group["momentum"], number)
            rest = 1 - rho
        (squares,) = self._slot_lists(parameters, squares_name)
        torch._foreach_mul_(squares, float(rho))
        torch._foreach_addcmul_(squares, gradients, gradients, float(rest))
        inside = self.profile.rmsprop_epsilon_inside_root or bool(momentum)
        if group["centered"]:
            (means,) = self._slot_lists(parameters, means_name)
            torch._foreach_lerp_(means, gradients, float(rest))
            roots = torch._foreach_addcmul(squares, means, means, -1.0)
            if inside:
                torch._foreach_add_(roots, group["epsilon"])
            torch._foreach_sqrt_(roots)
        elif inside:
            roots = torch._foreach_add(squares, group["epsilon"])
            torch._foreach_sqrt_(roots)
        else:
            roots = torch._foreach_sqrt(squares)
        if not inside:
            torch._foreach_add_(roots, group["epsilon"])
        if momentum:
            (moments,) = self._slot_lists(parameters, momentum_name)
            torch._foreach_mul_(moments, float(momentum))
            torch._foreach_addcdiv_(moments, gradients, roots, rate)
            torch._foreach_sub_(parameters, moments)
        else:
            torch._foreach_addcdiv_(parameters, gradients, roots, -rate)
