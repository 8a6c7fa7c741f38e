"""Optimizers by name and from Keras's own configs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from lightning_impl.keras_semantics.optimizers.adadelta import KerasAdadelta
from lightning_impl.keras_semantics.optimizers.adagrad import KerasAdagrad
from lightning_impl.keras_semantics.optimizers.adam import KerasAdam, KerasAdamW
from lightning_impl.keras_semantics.optimizers.adamax import KerasAdamax
from lightning_impl.keras_semantics.optimizers.arguments import (
    KERAS3_ARGUMENTS,
    LEGACY_ARGUMENTS,
    check_known,
    own_arguments,
)
from lightning_impl.keras_semantics.optimizers.base import KerasOptimizer, Parameters
from lightning_impl.keras_semantics.optimizers.ftrl import KerasFtrl
from lightning_impl.keras_semantics.optimizers.nadam import KerasNadam
from lightning_impl.keras_semantics.optimizers.rmsprop import KerasRMSprop
from lightning_impl.keras_semantics.optimizers.sgd import KerasSGD
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError, did_you_mean

CLASSES: dict[str, type[KerasOptimizer]] = {
    "adadelta": KerasAdadelta,
    "adagrad": KerasAdagrad,
    "adam": KerasAdam,
    "adamax": KerasAdamax,
    "adamw": KerasAdamW,
    "ftrl": KerasFtrl,
    "nadam": KerasNadam,
    "rmsprop": KerasRMSprop,
    "sgd": KerasSGD,
}
OPTIMIZERS = tuple(CLASSES)
# What a config holds that changes no number.
SILENT_KEYS = ("name", "is_legacy_optimizer", "jit_compile")


def build_optimizer(
    name: str, profile: Profile, parameters: Parameters, learning_rate: float, **arguments: Any
) -> KerasOptimizer:
    """The optimizer that `optimizer=name` means in a Keras of this generation.

    Args:
        name: One of OPTIMIZERS.
        profile: The Keras generation.
        parameters: To train.
        learning_rate: Per step.
        arguments: Keras's arguments of that optimizer, by Keras's names; the rest have Keras's defaults.

    Raises:
        UserError: An unknown name or argument, or a value that Keras refuses.
    """
    if name not in CLASSES:
        hint = did_you_mean(name, OPTIMIZERS) or f": one of {', '.join(OPTIMIZERS)}"
        raise UserError(f'unknown model.optimizer "{name}"{hint}')
    made: Any = CLASSES[name]
    shared = {**LEGACY_ARGUMENTS, **KERAS3_ARGUMENTS}
    check_known(made.__name__.removeprefix("Keras"), {*own_arguments(made), *shared}, arguments)
    return made(parameters, profile, learning_rate, **arguments)


def from_keras_config(
    class_name: str, config: Mapping[str, Any], profile: Profile, parameters: Parameters
) -> KerasOptimizer:
    """The optimizer that wrote this config.

    Args:
        class_name: What Keras calls it, such as "Nadam".
        config: What its get_config() gave. Keys that name it or choose a compiler are passed over.
        profile: The generation that wrote it.
        parameters: To train.

    Raises:
        UserError: An unknown class or key, a schedule for a learning rate, or the other generation's config.
    """
    name, values = name_and_arguments(class_name, config, profile)
    return build_optimizer(name, profile, parameters, values.pop("learning_rate"), **values)


def name_and_arguments(
    class_name: str, config: Mapping[str, Any], profile: Profile
) -> tuple[str, dict[str, Any]]:
    """What `build_optimizer` takes for the optimizer that wrote this config.

    A legacy Nadam writes its schedule_decay as `decay`, and loses it when Keras reads the config back
    (tf_keras 2.21 optimizers/legacy/nadam.py, `__init__`); here it is kept, as the optimizer had it.

    Args:
        class_name: What Keras calls it, such as "Nadam".
        config: What its get_config() gave; {} of one that was given by its name alone, with Keras's defaults.
        profile: The generation that wrote it.

    Returns:
        One of OPTIMIZERS, and the arguments, the learning rate, which may be a schedule's config, among them.

    Raises:
        UserError: An unknown class, no learning rate, or the other generation's config.
    """
    name = class_name.rpartition(">")[2].lower()
    if name not in CLASSES:
        hint = did_you_mean(name, OPTIMIZERS) or f": one of {', '.join(OPTIMIZERS)}"
        raise UserError(f'no Keras optimizer "{class_name}" is known here{hint}')
    legacy = profile.optimizers_are_legacy
    if config.get("is_legacy_optimizer", legacy) != legacy:
        raise UserError(f"the config of {class_name} is not of profile {profile.name}: give the other one")
    values = {key: value for key, value in config.items() if key not in SILENT_KEYS}
    if legacy and "lr" in values:
        values["learning_rate"] = values.pop("lr")
    if legacy and name == "nadam" and "decay" in values:
        values["schedule_decay"] = values.pop("decay")
    if not config:
        values["learning_rate"] = inspect.signature(CLASSES[name]).parameters["learning_rate"].default
    if "learning_rate" not in values:
        raise UserError(f"the config of {class_name} has no learning_rate: give what get_config() returned")
    return name, values
