"""Keras's initialisers, in place on torch parameters (keras 3.15 initializers/random_initializers.py and
constant_initializers.py; tf_keras 2.21 has the same rules). Biases start at zero, as in Keras.

Equal are the distributions, not the numbers: the generators differ. torch's own differ in the distribution:
kaiming_normal_ is not cut off, and a depthwise kernel has other fans there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from parity_common.command_errors import UserError, did_you_mean

# The standard deviation of a unit normal cut off at +-2, by which Keras corrects the spread.
TRUNCATED_NORMAL_STD = 0.87962566103423978
Fans = tuple[int, int]
Initializer = Callable[..., Tensor]


def fans_of(weight: Tensor) -> Fans:
    """Keras's (fan_in, fan_out) of a weight `(out, in, ...)`; of a vector its size twice.

    Of a depthwise weight `(channels * multiplier, 1, kh, kw)` they are other than its shape says: Keras's
    kernel is `(kh, kw, channels, multiplier)`, its fans channels * kh * kw and multiplier * kh * kw.
    """
    if weight.dim() < 2:
        return weight.numel(), weight.numel()
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


def variance_scaling_(
    weight: Tensor,
    fans: Fans | None = None,
    scale: float = 1.0,
    mode: str = "fan_in",
    distribution: str = "truncated_normal",
) -> Tensor:
    """Variance scale / fan.

    Args:
        weight: `(out, in, ...)`, changed in place, as in every function here.
        fans: (fan_in, fan_out), where they are not those of `fans_of`.
        scale: Above 0.
        mode: fan_in, fan_out or fan_avg.
        distribution: truncated_normal (or normal), untruncated_normal, uniform.

    Raises:
        UserError: A scale, mode or distribution that Keras does not know.
    """
    fan_in, fan_out = fans_of(weight) if fans is None else fans
    by_mode = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    if scale <= 0:
        raise UserError(f"VarianceScaling: scale is {scale}: give a number above 0")
    if mode not in by_mode:
        raise UserError(f'VarianceScaling: mode is "{mode}": one of {", ".join(by_mode)}')
    variance = scale / max(1.0, by_mode[mode])
    if distribution in ("truncated_normal", "normal"):
        return truncated_normal_(weight, stddev=math.sqrt(variance) / TRUNCATED_NORMAL_STD)
    if distribution == "untruncated_normal":
        return random_normal_(weight, stddev=math.sqrt(variance))
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return random_uniform_(weight, minval=-limit, maxval=limit)
    known = "truncated_normal, untruncated_normal, uniform"
    raise UserError(f'VarianceScaling: distribution is "{distribution}": one of {known}')


def truncated_normal_(weight: Tensor, mean: float = 0.0, stddev: float = 0.05) -> Tensor:
    """A normal cut off at two of its deviations; its own spread is then 0.88 of `stddev`."""
    return nn.init.trunc_normal_(weight, mean, stddev, mean - 2 * stddev, mean + 2 * stddev)


def random_normal_(weight: Tensor, mean: float = 0.0, stddev: float = 0.05) -> Tensor:
    """A normal."""
    return nn.init.normal_(weight, mean, stddev)


def random_uniform_(weight: Tensor, minval: float = -0.05, maxval: float = 0.05) -> Tensor:
    """Uniform in [minval, maxval)."""
    return nn.init.uniform_(weight, minval, maxval)


def orthogonal_(weight: Tensor, gain: float = 1.0) -> Tensor:
    """Orthonormal rows or columns, whichever are fewer, times `gain`; a kernel as (all but out, out)."""
    if weight.dim() < 2:
        raise UserError("Orthogonal needs a weight of two axes or more")
    return nn.init.orthogonal_(weight, gain)


def constant_(weight: Tensor, value: float = 0.0) -> Tensor:
    """The same everywhere."""
    return nn.init.constant_(weight, value)


def identity_(weight: Tensor, gain: float = 1.0) -> Tensor:
    """`gain` on the diagonal of a dense weight."""
    if weight.dim() != 2:
        raise UserError(f"Identity needs a weight of two axes, this one has {weight.dim()}")
    with torch.no_grad():
        return weight.copy_(torch.eye(*weight.shape) * gain)


def _scaled(scale: float, mode: str, distribution: str) -> Initializer:
    return partial(variance_scaling_, scale=scale, mode=mode, distribution=distribution)


he_normal_ = _scaled(2.0, "fan_in", "truncated_normal")
he_uniform_ = _scaled(2.0, "fan_in", "uniform")
glorot_normal_ = _scaled(1.0, "fan_avg", "truncated_normal")
glorot_uniform_ = _scaled(1.0, "fan_avg", "uniform")
lecun_normal_ = _scaled(1.0, "fan_in", "truncated_normal")
lecun_uniform_ = _scaled(1.0, "fan_in", "uniform")

INITIALIZERS: dict[str, Initializer] = {
    "Constant": constant_,
    "GlorotNormal": glorot_normal_,
    "GlorotUniform": glorot_uniform_,
    "HeNormal": he_normal_,
    "HeUniform": he_uniform_,
    "Identity": identity_,
    "LecunNormal": lecun_normal_,
    "LecunUniform": lecun_uniform_,
    "Ones": partial(constant_, value=1.0),
    "Orthogonal": orthogonal_,
    "RandomNormal": random_normal_,
    "RandomUniform": random_uniform_,
    "TruncatedNormal": truncated_normal_,
    "VarianceScaling": variance_scaling_,
    "Zeros": constant_,
}
# Their arguments are part of their names.
FIXED = {"Ones", "Zeros"} | {name for name in INITIALIZERS if name.startswith(("Glorot", "He", "Lecun"))}


def initialise_as(weight: Tensor, name: str, fans: Fans | None = None, **arguments: Any) -> Tensor:
    """Gives a weight the start that Keras's initialiser of that name would.

    Args:
        weight: `(out, in, ...)`, changed in place.
        name: As Keras has it, "HeNormal" or "he_normal".
        fans: (fan_in, fan_out), where they are not those of `fans_of`: depthwise kernels.
        arguments: Keras's, by Keras's names; a seed is passed over.

    Raises:
        UserError: An unknown name, argument or value.
    """
    by_snake_name = {_without_case(known): known for known in INITIALIZERS}
    known = by_snake_name.get(_without_case(name))
    if known is None:
        raise UserError(
            f"no initialiser {name}{did_you_mean(name, INITIALIZERS)}: one of {', '.join(INITIALIZERS)}"
        )
    rule = INITIALIZERS[known]
    taken = [] if known in FIXED else list(inspect.signature(rule).parameters)[1:]
    arguments = {key: value for key, value in arguments.items() if key != "seed"}
    for given in arguments:
        if given not in taken or given == "fans":
            raise UserError(f"{known} has no argument {given}{did_you_mean(given, taken)}")
    if fans is not None and "fans" in inspect.signature(rule).parameters:
        arguments["fans"] = fans
    return rule(weight, **arguments)


def initialise_(model: nn.Module, kernel_initialiser: Initializer = glorot_uniform_) -> None:
    """Gives every convolution and dense layer of `model` Keras's start: kernels as told, biases zero."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            kernel_initialiser(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _without_case(name: str) -> str:
    return name.replace("_", "").lower()
