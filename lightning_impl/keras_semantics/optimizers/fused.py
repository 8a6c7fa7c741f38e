"""Adam's elementwise work in one pass over memory, with the scalars computed by the caller."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# beta ** STEP is 0 for every beta below 1: the kernel's own bias corrections are then exactly 1. A whole
# number, as torch's kernels differ in whether they read the step as an integer.
STEP = 2.0**60
# The largest number below 1: a decay that keeps its average as it is, but for the last bit in float64.
KEEP = 1 - 2.0**-53


def adam_pass_(
    parameters: list[Tensor],
    gradients: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    largest: list[Tensor],
    *,
    beta_1: float,
    beta_2: float,
    step_size: float,
    epsilon: float,
) -> None:
    """One update of w by Adam's rule without bias corrections.

        m <- beta_1 m + (1 - beta_1) g
        v <- beta_2 v + (1 - beta_2) g^2
        w <- w - step_size m / (sqrt(v) + epsilon)

    Args:
        parameters: Updated. All lists are of one dtype and device, slots of their parameters' memory layout.
        gradients: Of the parameters.
        first: m, updated.
        second: v, updated.
        largest: AMSGrad's running maximum of v, updated and used in v's place; empty without it.
        beta_1: Below 1.
        beta_2: Below 1.
        step_size: Of this step, bias corrections included.
        epsilon: Added outside the root.
    """
    # The kernel walks through memory and does not look at strides.
    gradients = [
        gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)
        for parameter, gradient in zip(parameters, gradients, strict=True)
    ]
    steps = [_step(parameters[0].device)] * len(parameters)
    torch._fused_adam_(
        parameters,
        gradients,
        first,
        second,
        largest,
        steps,
        lr=step_size,
        beta1=beta_1,
        beta2=beta_2,
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=bool(largest),
        maximize=False,
    )


@cache
def _step(device: torch.device) -> Tensor:
    return torch.tensor(STEP, device=device)
