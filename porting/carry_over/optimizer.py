"""The optimizer of a Keras file: what it was made with, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from lightning_impl.keras_semantics.optimizers import KerasOptimizer, build_optimizer
from lightning_impl.keras_semantics.optimizers.build import name_and_arguments
from lightning_impl.keras_semantics.profile import KERAS3, TF24, Profile
from lightning_impl.keras_semantics.schedules import schedule_from_keras_config
from parity_common.command_errors import UserError
from porting.carry_over.net import Carried, trained_in_file
from porting.keras_file import KerasFile, OptimizerState, TrainingConfig, WeightKey

ITERATION, LEARNING_RATE = "iteration", "learning_rate"


@dataclass(frozen=True)
class KerasOptimizerFound:
    """A file's optimizer in a config's words.

    Attributes:
        profile: Whose rules it follows.
        name: `model.optimizer`.
        arguments: `model.optimizer_arguments`: those that are not Keras's defaults.
        learning_rate: As the training left it; a schedule's initial one, None where the schedule has none.
        schedule: `model.schedule`.
        scalars: "iteration" and what else the optimizer holds once, the learning rate apart.
        state: The file's arrays.
    """

    profile: Profile
    name: str
    arguments: dict[str, Any]
    learning_rate: float | None
    schedule: dict[str, dict[str, Any]] | None
    scalars: Mapping[str, float]
    state: OptimizerState

    @property
    def steps(self) -> int:
        """How many it has made."""
        return int(self.scalars[ITERATION])

    @property
    def shown_rate(self) -> float | None:
        """The learning rate as a config has it: 0.001, not 0.0010000000474974513."""
        return None if self.learning_rate is None else _shortest(self.learning_rate)


_WITHOUT_STEPS = ("adadelta", "adagrad", "rmsprop")
# The slots of TF 2.11 to 2.15, whose optimizers compute what Keras 3's do, under Keras 3's names.
_KERAS3_NAMES = {"m": "momentum", "v": "velocity", "vhat": "velocity_hat", "u": "norm"}


def optimizer_of(file: KerasFile, takes_between: bool = False) -> KerasOptimizerFound:
    """Reads a file's optimizer.

    Args:
        file: The file.
        takes_between: Whether one of TF 2.11 to 2.15 will do, which has Keras 3's rules while everything else
            in its file has those of profile tf2.4: a run here has one profile for all.

    Raises:
        UserError: It has none, or one that cannot go on here; the line says what to do.
    """
    training, state = file.training, file.optimizer
    if training is None or training.optimizer is None or state is None:
        raise UserError(
            f"{file.path} holds no optimizer's state: save the compiled and trained model whole, "
            "model.save(PATH), or start its weights anew with --model.weights of the fit"
        )
    is_between = is_of_tf_2_11(file, training)
    if is_between and not takes_between:
        raise UserError(
            f"{file.path}: its {training.optimizer} is of TF 2.11 to 2.15, whose rules are those of neither "
            "profile: train in tf.keras.optimizers.legacy or in Keras 3, or start its weights anew with "
            "--model.weights of the fit"
        )
    profile = KERAS3 if is_between or not file.keras_version.startswith(("1", "2")) else TF24
    name, arguments = name_and_arguments(training.optimizer, training.optimizer_config, profile)
    if state.unnamed:
        raise UserError(
            f"{file.path} does not tell which weights {len(state.unnamed)} arrays of its "
            f"{training.optimizer} belong to: compile the model after trainable was set, train a step and "
            "save it as .h5"
        )
    if is_between and name == "nadam":
        # tf_keras 2.21 optimizers/nadam.py, `update_step`: the counter that should prevent it is a Python
        # number, which a compiled step does not change.
        raise UserError(
            f"{file.path}: Nadam of TF 2.11 to 2.15 multiplies its product of momenta once for each weight, "
            "not once a step: no other Keras does, nor is it done here"
        )
    if is_between:
        state = _as_keras3(state, arguments, name)
    scalars = {key: float(array.read()) for key, array in state.scalars.items()}
    if (
        name in _WITHOUT_STEPS
        and not arguments.get("decay")
        and not isinstance(arguments[LEARNING_RATE], Mapping)
    ):
        # Keras 2's keep no count (keras 2.2 optimizers.py), and their rules need none.
        scalars.setdefault(ITERATION, 0.0)
    if ITERATION not in scalars:
        raise UserError(f"{file.path} does not say how many steps its {training.optimizer} has made")
    said = arguments.pop(LEARNING_RATE)
    schedule = None
    if isinstance(said, Mapping):
        schedule_from_keras_config(said)
        name_of_schedule = str(said["class_name"])
        own = {key: value for key, value in said["config"].items() if key != "name"}
        said = own.pop("initial_learning_rate", None)
        schedule = {name_of_schedule.rpartition(">")[2]: own}
    if name == "nadam" and profile is KERAS3:
        _name_product(scalars, schedule is not None)
    rate = said if schedule is not None else scalars.pop(LEARNING_RATE, said)
    if profile.optimizers_are_legacy:
        # Their hyperparameters are float32 variables.
        arguments = {key: _shortest(value) for key, value in arguments.items()}
    arguments = _without_defaults(name, profile, arguments)
    return KerasOptimizerFound(
        profile, name, arguments, None if rate is None else float(rate), schedule, scalars, state
    )


def check_slots(file: KerasFile, found: KerasOptimizerFound, carried: Iterable[Carried]) -> None:
    """Refuses an optimizer that has not a slot for each weight that the file's layers train, and no others.

    Raises:
        UserError: A slot too many, missing, or of another shape than its weight.
    """
    trained = trained_in_file(file)
    shapes = {each.key: each.stored.shape for each in carried}
    for slot, arrays in found.state.slots.items():
        if set(arrays) != trained:
            key = min(set(arrays) ^ trained)
            has, trains = ("no ", "is") if key in trained else ("a ", "is not")
            raise UserError(
                f"{file.path} has {has}slot {slot} for {_shown(key)}, which {trains} trained: compile the "
                "model after trainable was set, train a step and save again"
            )
        wrong = [key for key, array in arrays.items() if array.shape != shapes.get(key)]
        if wrong:
            raise UserError(
                f"{file.path} is damaged: the slot {slot} of {_shown(wrong[0])} has another shape"
            )


def put_state(
    found: KerasOptimizerFound, carried: Iterable[Carried], net: nn.Module, optimizer: KerasOptimizer
) -> None:
    """Brings an optimizer to where the file's was.

    Args:
        found: The file's.
        carried: The weights.
        net: Whose parameters the optimizer trains.
        optimizer: Changed in place.

    Raises:
        UserError: Other slots or scalars than this optimizer has.
    """
    parameters = dict(net.named_parameters())
    by_weight: dict[WeightKey, dict[str, Any]] = {}
    for slot, arrays in found.state.slots.items():
        for key, array in arrays.items():
            by_weight.setdefault(key, {})[slot] = array
    for each in carried:
        parameter = parameters.get(each.name)
        if parameter is not None and parameter.requires_grad:
            slots = {
                name: each.in_torch_order(array.read()) for name, array in by_weight.get(each.key, {}).items()
            }
            optimizer.load_slots(parameter, slots)
    scalars = dict(found.scalars)
    scalars["iterations"] = scalars.pop(ITERATION)
    if found.learning_rate is not None and found.schedule is None:
        scalars[LEARNING_RATE] = found.learning_rate
    optimizer.load_keras_scalars(scalars)


def _name_product(scalars: dict[str, float], has_schedule: bool) -> None:
    """Gives Nadam's u_product its name, which Keras 3.15 does not (optimizers/nadam.py, `build`).

    In .h5 it is "variable" or "variable_7", in .keras the scalar after the rate, and beside a schedule there
    is no rate.
    """
    known = (ITERATION,) if has_schedule else (ITERATION, LEARNING_RATE)
    unnamed = [key for key in scalars if key not in known]
    if len(unnamed) == 1:
        scalars["u_product"] = scalars.pop(unnamed[0])


def is_of_tf_2_11(file: KerasFile, training: TrainingConfig) -> bool:
    """Whether the optimizer is one of TF 2.11 to 2.15, which compute what Keras 3's do."""
    if not file.keras_version.startswith(("1", "2")):
        return False
    # The older ones never write a name alone.
    return "jit_compile" in training.optimizer_config or not training.optimizer_config


def _as_keras3(state: OptimizerState, arguments: Mapping[str, Any], name: str) -> OptimizerState:
    """The state of TF 2.11 to 2.15 under Keras 3's names; SGD has a slot there also without momentum."""
    slots = {_KERAS3_NAMES.get(slot, slot): arrays for slot, arrays in state.slots.items()}
    if name == "sgd" and not arguments.get("momentum"):
        slots.pop("momentum", None)
    return replace(state, slots=slots)


def _without_defaults(name: str, profile: Profile, arguments: Mapping[str, Any]) -> dict[str, Any]:
    def made(given: Mapping[str, Any]) -> dict[str, Any]:
        return build_optimizer(name, profile, [nn.Parameter(torch.zeros(1))], 1.0, **given).defaults

    mine, usual = made(arguments), made({})
    return {
        key: value
        for key, value in arguments.items()
        if key not in mine or key not in usual or mine[key] != usual[key]
    }


def _shortest(value: Any) -> Any:
    """The shortest decimal that means the same float32: 0.9, not 0.8999999761581421; else the value."""
    is_float32 = isinstance(value, float) and float(np.float32(value)) == value
    return float(str(np.float32(value))) if is_float32 else value


def _shown(key: WeightKey) -> str:
    path, name = key
    return "/".join((*path, name))
