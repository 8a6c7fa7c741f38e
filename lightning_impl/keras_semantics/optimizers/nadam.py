"""Keras's Nadam: Adam with a Nesterov look-ahead and a momentum that warms up on a schedule."""

from __future__ import annotations

import warnings
from typing import Unpack

import numpy as np
import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.adam import checked_betas
from lightning_impl.keras_semantics.optimizers.arguments import EPSILON, SharedArguments, checked_number
from lightning_impl.keras_semantics.optimizers.base import Group, KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.fused import KEEP, adam_pass_
from lightning_impl.keras_semantics.optimizers.rounding import Number, cast, power
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError

MOMENTUM_DECAY_BASE = 0.96


class KerasNadam(KerasOptimizer):
    """w <- w - lr m_hat / (sqrt(v / (1 - beta_2^t)) + epsilon), where with the products P_t = u_1 ... u_t

        u_t = beta_1 (1 - 0.5 * 0.96^(t * schedule_decay))
        m_hat = u_(t+1) m / (1 - P_(t+1)) + (1 - u_t) g / (1 - P_t)

    Source: keras 3.15 optimizers/nadam.py, where schedule_decay is 1; tf_keras 2.21
    optimizers/legacy/nadam.py, where it is 0.004 and can be set.

    Args:
        params: To train.
        profile: The Keras generation.
        learning_rate: Per step.
        beta_1: Decay of the gradients' average.
        beta_2: Decay of their squares' average.
        epsilon: Added to the root.
        schedule_decay: tf2.4 only; None is the generation's own. As in Keras, `decay` is dropped.
        shared: See `SharedArguments`.

    Raises:
        UserError: schedule_decay with Keras 3.
    """

    def __init__(
        self,
        params: Parameters,
        profile: Profile,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = EPSILON,
        schedule_decay: float | None = None,
        **shared: Unpack[SharedArguments],
    ) -> None:
        own = checked_betas("Nadam", beta_1, beta_2, epsilon)
        if schedule_decay is not None and not profile.optimizers_are_legacy:
            raise UserError(f"Nadam: the Keras of profile {profile.name} has no schedule_decay: leave it out")
        if profile.optimizers_are_legacy and shared.pop("decay", None) is not None:
            warnings.warn(
                "Nadam: Keras overwrites decay with schedule_decay, so decay is ignored here", stacklevel=2
            )
        if schedule_decay is None:
            schedule_decay = profile.nadam_momentum_decay
        own["schedule_decay"] = checked_number("Nadam", "schedule_decay", schedule_decay, 0)
        # P_t, kept in the precision of the parameters.
        own["u_product"] = 1.0
        if profile.optimizers_are_legacy:
            own["momentum_cache"] = own.pop("u_product")
        super().__init__(params, profile, learning_rate, own, shared)

    @property
    def scalar_names(self) -> tuple[str, ...]:
        """P_t, by the generation's name."""
        return ("momentum_cache",) if self.profile.optimizers_are_legacy else ("u_product",)

    def _own_slots(self) -> dict[str, float]:
        legacy = self.profile.optimizers_are_legacy
        return dict.fromkeys(("m", "v") if legacy else ("momentum", "velocity"), 0.0)

    def _prepare(self, group: Group, number: Number) -> None:
        (name,) = self.scalar_names
        product = number(group[name])
        if self.profile.optimizers_are_legacy:
            product = product * self._momentum(group, number, self.iterations + 1)
        else:
            # Keras 3 rounds neither constant here, but both in u_t.
            warmth = 1 - number(0.5) * power(number(MOMENTUM_DECAY_BASE), number(self.iterations + 1))
            product = product * number(group["beta_1"]) * warmth
        group[name] = float(product)

    def _momentum(self, group: Group, number: Number, local_step: int) -> Number:
        exponent = number(group["schedule_decay"]) * number(local_step)
        base = cast(MOMENTUM_DECAY_BASE, number)
        return cast(group["beta_1"], number) * (1 - number(0.5) * power(base, exponent))

    def _update(
        self, group: Group, parameters: list[Tensor], gradients: list[Tensor], number: Number
    ) -> None:
        step = self.iterations + 1
        beta_1, beta_2 = cast(group["beta_1"], number), cast(group["beta_2"], number)
        product = number(group[self.scalar_names[0]])
        momentum, next_momentum = (self._momentum(group, number, step + ahead) for ahead in (0, 1))
        of_first = next_momentum / (1 - product * next_momentum)
        of_gradient = (1 - momentum) / (1 - product)
        root = np.sqrt(1 - power(beta_2, number(step)))
        first, second = self._slot_lists(parameters, *self._own_slots())
        torch._foreach_lerp_(first, gradients, float(1 - beta_1))
        # The numerator as one average of m and g times the sum of their weights: Adam's pass does the rest.
        weights = of_first + of_gradient
        ahead = list(torch._foreach_lerp(first, gradients, float(of_gradient / weights)))
        adam_pass_(
            parameters,
            gradients,
            ahead,
            second,
            [],
            beta_1=KEEP,
            beta_2=float(beta_2),
            step_size=float(self._learning_rate(group, number) * root * weights),
            epsilon=float(number(group["epsilon"]) * root),
        )
