"""Keras's optimizers with Keras's defaults, from torch's nearest class for each profile.

What torch's class leaves after 1,000 lockstep steps in float64 is stated beside each. Adam's residual is
its epsilon: torch adds it to sqrt(v_hat), Keras to sqrt(v) before the bias correction ("epsilon hat" of
Kingma and Ba, arXiv 1412.6980, section 2), so Keras's grows as 1 / sqrt(1 - beta_2^t) in torch's terms.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError

# keras.backend.epsilon(): the default of every optimizer here, in both generations.
EPSILON = 1e-7
RMSPROP_RHO = 0.9

OPTIMIZERS = ("adam", "nadam", "rmsprop", "sgd")


class RMSpropEpsilonInside(Optimizer):
    """Keras 3's RMSprop: v <- rho v + (1 - rho) g^2; w <- w - lr g / sqrt(v + epsilon).

    Source: keras 3.15 optimizers/rmsprop.py, `update_step`. torch.optim.RMSprop divides by sqrt(v) + epsilon.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        rho: float = RMSPROP_RHO,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate, "rho": rho, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure=None):
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            gradients = [parameter.grad for parameter in parameters]
            for parameter in parameters:
                if "velocity" not in self.state[parameter]:
                    self.state[parameter]["velocity"] = torch.zeros_like(parameter)
            velocities = [self.state[parameter]["velocity"] for parameter in parameters]
            torch._foreach_mul_(velocities, group["rho"])
            torch._foreach_addcmul_(velocities, gradients, gradients, 1 - group["rho"])
            roots = torch._foreach_add(velocities, group["epsilon"])
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(parameters, gradients, roots, -group["lr"])
        return loss


def build_optimizer(
    name: str, profile: Profile, parameters: Iterable[nn.Parameter], learning_rate: float
) -> Optimizer:
    """The optimizer that `optimizer=name` means in a Keras of this generation.

    Args:
        name: One of OPTIMIZERS.
        profile: The Keras generation.
        parameters: To train.
        learning_rate: Per step.

    Raises:
        UserError: An unknown name.
    """
    if name == "adam":
        # Off by up to 2e-2 in both profiles: the constant epsilon. Making it grow as above leaves 7e-7
        # (tf2.4) and 3e-3 (keras3, whose constants are rounded through float32).
        # Fused: one pass over the parameters (docs/benchmarks.md).
        return torch.optim.Adam(parameters, learning_rate, eps=EPSILON, fused=True)
    if name == "nadam":
        # Off by 7e-7 in both. The other generation's schedule would be off by 3.7e-2.
        decay = profile.nadam_momentum_decay
        return torch.optim.NAdam(parameters, learning_rate, eps=EPSILON, momentum_decay=decay)
    if name == "rmsprop":
        if profile.rmsprop_epsilon_inside_root:
            return RMSpropEpsilonInside(parameters, learning_rate)
        # Off by 3e-8.
        return torch.optim.RMSprop(parameters, learning_rate, alpha=RMSPROP_RHO, eps=EPSILON)
    if name == "sgd":
        return torch.optim.SGD(parameters, learning_rate)
    raise UserError(f'unknown model.optimizer "{name}": one of {", ".join(OPTIMIZERS)}')
