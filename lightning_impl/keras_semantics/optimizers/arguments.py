"""The arguments every Keras optimizer takes besides its own: which generation has which, and their ranges."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError, did_you_mean

# keras.backend.epsilon(): the default of every optimizer, in both generations.
EPSILON = 1e-7


class SharedArguments(TypedDict, total=False):
    """What Keras's base class takes.

    Source: keras 3.15 optimizers/base_optimizer.py; tf_keras 2.21 optimizers/legacy/optimizer_v2.py.
    """

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    decay: float | None
    weight_decay: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None
    loss_scale_factor: float | None


CLIPPING: dict[str, Any] = {"clipnorm": None, "clipvalue": None, "global_clipnorm": None}
LEGACY_ARGUMENTS: dict[str, Any] = {**CLIPPING, "decay": 0.0}
KERAS3_ARGUMENTS: dict[str, Any] = {
    **CLIPPING,
    "weight_decay": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
    "loss_scale_factor": None,
}


def shared_arguments(name: str, profile: Profile, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given arguments over the generation's defaults, checked.

    Args:
        name: The optimizer's class name in Keras.
        profile: The Keras generation.
        given: What the caller passed by keyword.

    Raises:
        UserError: An argument that this generation does not have, or a value it refuses.
    """
    legacy = profile.optimizers_are_legacy
    values = dict(LEGACY_ARGUMENTS if legacy else KERAS3_ARGUMENTS)
    given = dict(given)
    if not legacy and given.pop("decay", None) is not None:
        # Keras 3.15 base_optimizer.py, `__init__`, warns and goes on.
        warnings.warn(f"{name}: Keras 3 ignores decay, so it is ignored here", stacklevel=4)
    for argument, value in given.items():
        if argument not in values:
            raise UserError(_not_an_argument(name, argument, profile, values))
        values[argument] = value
    _check_clipping(name, legacy, values)
    if legacy:
        for argument, value in values.items():
            if value is not None and value < 0:
                raise UserError(f"{name}: {argument} is {value}: give 0 or more")
    else:
        _check_keras3(name, values)
    return values


def check_known(name: str, known: Iterable[str], given: Iterable[str]) -> None:
    """Raises UserError for the first argument that is not among the known ones."""
    known = sorted(known)
    for argument in given:
        if argument not in known:
            hint = did_you_mean(argument, known) or f": it takes {', '.join(known)}"
            raise UserError(f'{name} has no argument "{argument}"{hint}')


def own_arguments(optimizer_class: type) -> list[str]:
    """The names of the arguments that are an optimizer's own, the learning rate among them."""
    parameters = inspect.signature(optimizer_class).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name not in ("params", "profile")
    ]


def checked_number(
    name: str, argument: str, value: Any, low: float = -math.inf, high: float = math.inf
) -> float:
    """The value as a float.

    Raises:
        UserError: Not a finite number within `[low, high]`.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UserError(
            f"{name}: {argument} is {value!r}: give a number (a schedule goes to torch.optim.lr_scheduler)"
        ) from None
    if not (math.isfinite(number) and low <= number <= high):
        bounds = [f"{low:g} or more"] if math.isfinite(low) else []
        bounds += [f"{high:g} or less"] if math.isfinite(high) else []
        raise UserError(f"{name}: {argument} is {value}: give a finite number{', '.join(['', *bounds])}")
    return number


def _not_an_argument(name: str, argument: str, profile: Profile, values: Mapping[str, Any]) -> str:
    other = KERAS3_ARGUMENTS if profile.optimizers_are_legacy else LEGACY_ARGUMENTS
    if argument in other:
        return f"{name}: the Keras of profile {profile.name} has no {argument}: leave it out"
    return f'{name} has no argument "{argument}"{did_you_mean(argument, values)}'


def _check_clipping(name: str, legacy: bool, values: Mapping[str, Any]) -> None:
    given = [argument for argument in CLIPPING if values[argument] is not None]
    # The legacy optimizers clip by value first and by norm after it; only two norms exclude each other.
    excluding = [argument for argument in given if not (legacy and argument == "clipvalue")]
    if len(excluding) > 1:
        raise UserError(f"{name}: {' and '.join(excluding)} exclude each other in Keras: give one of them")


def _check_keras3(name: str, values: Mapping[str, Any]) -> None:
    if values["loss_scale_factor"] is not None:
        raise UserError(
            f"{name}: loss_scale_factor multiplies the loss and divides the gradients, "
            "which cancels: leave it out"
        )
    steps = values["gradient_accumulation_steps"]
    if steps and not (isinstance(steps, int) and steps >= 2):
        raise UserError(f"{name}: gradient_accumulation_steps is {steps}: give a whole number of 2 or more")
    if values["use_ema"]:
        checked_number(name, "ema_momentum", values["ema_momentum"], 0, 1)
        every = values["ema_overwrite_frequency"]
        if every and not (isinstance(every, int) and every >= 1):
            raise UserError(f"{name}: ema_overwrite_frequency is {every}: give a whole number of 1 or more")
