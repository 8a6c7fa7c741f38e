"""Keras's Adam and AdamW: epsilon is added before the bias correction ("epsilon hat" of arXiv 1412.6980)."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.arguments import EPSILON, SharedArguments, checked_number
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.fused import adam_pass_
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast, power
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError


def checked_betas(name: str, beta_1: float, beta_2: float, epsilon: float) -> dict[str, Any]:
    """The three hyperparameters of Adam's family.

    Raises:
        UserError: One out of range.
    """
    for argument, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
        # At 1 the bias correction divides by 0, in Keras too.
        if checked_number(name, argument, beta, 0) >= 1:
            raise UserError(f"{name}: {argument} is {beta}: give a number below 1")
    epsilon = checked_number(name, "epsilon", epsilon or 0.0, 0)
    return {"beta_1": float(beta_1), "beta_2": float(beta_2), "epsilon": epsilon}


class KerasAdam(KerasOptimizer):
    """w <- w - lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).

    Source: keras 3.15 optimizers/adam.py, `update_step`; tf_keras 2.21 optimizers/legacy/adam.py and
    TensorFlow's ApplyAdam. In torch.optim.Adam's terms Keras's epsilon grows as 1 / sqrt(1 - beta_2^t).

    One thing is not Keras's: in float32 Keras 3 takes v + (g^2 - v) (1 - beta_2), and the fused pass
    beta_2 v + (1 - beta_2) g^2, whose two rounded factors do not add up to 1. After 1,000 steps v is 6e-6 off
    by it and the weights 2e-7, which is less than float32 Keras is off from float64.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step.
        beta_1: Decay of the gradients' average.
        beta_2: Decay of their squares' average.
        epsilon: Added to sqrt(v).
        amsgrad: Whether the largest v so far takes v's place.
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
        amsgrad: bool = False,
        **shared: Unpack[SharedArguments],
    ) -> None:
        own = {**checked_betas(self.keras_name, beta_1, beta_2, epsilon), "amsgrad": bool(amsgrad)}
        super().__init__(params, profile, learning_rate, own, shared)

    def _own_slots(self) -> dict[str, float]:
        legacy = self.profile.optimizers_are_legacy
        names = ("m", "v", "vhat") if legacy else ("momentum", "velocity", "velocity_hat")
        return dict.fromkeys(names if self.param_groups[0]["amsgrad"] else names[:2], 0.0)

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        local_step = number(self.iterations + 1)
        beta_1, beta_2 = cast(group["beta_1"], number), cast(group["beta_2"], number)
        correction_1, correction_2 = 1 - power(beta_1, local_step), 1 - power(beta_2, local_step)
        step_size = self._learning_rate(group, number) * np.sqrt(correction_2) / correction_1
        if not self.profile.optimizers_are_legacy:
            # Keras 3 rounds the betas for the corrections and not for the averages.
            beta_1, beta_2 = group["beta_1"], group["beta_2"]
        first, second, *largest = self._slot_lists(parameters, *self._own_slots())
        adam_pass_(
            parameters,
            gradients,
            first,
            second,
            largest[0] if largest else [],
            beta_1=float(beta_1),
            beta_2=float(beta_2),
            step_size=float(step_size),
            epsilon=group["epsilon"],
        )


class KerasAdamW(KerasAdam):
    """Adam after decoupled weight decay of every parameter that is not excluded: w <- w - w wd lr.

    Source: keras 3.15 optimizers/adamw.py. The legacy optimizers have no AdamW.

    Args:
        params: To train.
        profile: Keras 3's.
        learning_rate: Per step.
        weight_decay: Fraction of a weight taken per step, in units of the learning rate.
        beta_1: Decay of the gradients' average.
        beta_2: Decay of their squares' average.
        epsilon: Added to sqrt(v).
        amsgrad: Whether the largest v so far takes v's place.
        shared: See `SharedArguments`.

    Raises:
        UserError: The tf2.4 profile.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = EPSILON,
        amsgrad: bool = False,
        **shared: Any,
    ) -> None:
        if profile.optimizers_are_legacy:
            raise UserError(f"the Keras of profile {profile.name} has no AdamW: take adam, or profile keras3")
        if weight_decay is None:
            raise UserError("AdamW: weight_decay is None: give a number, or take adam")
        super().__init__(
            params,
            profile,
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay=weight_decay,
            **shared,
        )
