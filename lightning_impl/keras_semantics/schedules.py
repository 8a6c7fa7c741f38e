"""Keras's learning-rate schedules: the rate of a step, and torch's scheduler that follows it.

Both generations compute them in float32 whatever the model's dtype, since TensorFlow makes a Python number a
float32 tensor (keras 3.15 and tf_keras 2.21, optimizers/schedules/learning_rate_schedule.py). The first step
is step 0. TensorFlow's graphs give the neighbouring float32 at some steps (at most 8 of 95 were measured).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from parity_common.command_errors import UserError, did_you_mean

Schedule = Callable[[int], float]
_f32 = np.float32


@dataclass(frozen=True)
class ExponentialDecay:
    """initial * decay_rate ** (step / decay_steps); with `staircase` by whole numbers of decay_steps."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False

    def __call__(self, step: int) -> float:
        """The rate of a step, from 0."""
        share = _f32(step) / _f32(self.decay_steps)
        share = np.floor(share) if self.staircase else share
        return float(_f32(self.initial_learning_rate) * np.power(_f32(self.decay_rate), share))


@dataclass(frozen=True)
class InverseTimeDecay:
    """initial / (1 + decay_rate * step / decay_steps); with `staircase` by whole numbers of decay_steps."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False

    def __call__(self, step: int) -> float:
        """The rate of a step, from 0."""
        share = _f32(step) / _f32(self.decay_steps)
        share = np.floor(share) if self.staircase else share
        return float(_f32(self.initial_learning_rate) / (_f32(1) + _f32(self.decay_rate) * share))


@dataclass(frozen=True)
class PolynomialDecay:
    """From initial to end within decay_steps along a power; with `cycle` anew on ever longer ways."""

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    def __call__(self, step: int) -> float:
        """The rate of a step, from 0."""
        now, steps, end = _f32(step), _f32(self.decay_steps), _f32(self.end_learning_rate)
        if self.cycle:
            steps = steps * (_f32(1) if step == 0 else np.ceil(now / steps))
        else:
            now = np.minimum(now, steps)
        left = np.power(_f32(1) - now / steps, _f32(self.power))
        return float((_f32(self.initial_learning_rate) - end) * left + end)


@dataclass(frozen=True)
class PiecewiseConstantDecay:
    """values[0] up to and with step boundaries[0], then values[1], and so on."""

    boundaries: Sequence[float]
    values: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1 or not self.boundaries:
            raise UserError(
                f"PiecewiseConstantDecay has {len(self.boundaries)} boundaries and {len(self.values)} "
                "values: give one or more boundaries and one value more"
            )

    def __call__(self, step: int) -> float:
        """The rate of a step, from 0."""
        passed = sum(step > boundary for boundary in self.boundaries)
        return float(_f32(self.values[passed]))


@dataclass(frozen=True)
class CosineDecay:
    """Half a cosine from initial to alpha * initial within decay_steps.

    A warm-up goes before it, from initial_learning_rate to warmup_target in warmup_steps; the cosine starts
    there.
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: float = 0

    def __call__(self, step: int) -> float:
        """The rate of a step, from 0."""
        now, steps, first = _f32(step), _f32(self.decay_steps), _f32(self.initial_learning_rate)
        if self.warmup_target is None:
            return self._cosine(np.minimum(now, steps), steps, first)
        target, warmup = _f32(self.warmup_target), _f32(self.warmup_steps)
        now = np.minimum(now, steps + warmup)
        if now < warmup:
            return float((target - first) * (now / warmup) + first)
        return self._cosine(now - warmup, steps, target)

    def _cosine(self, now: np.float32, steps: np.float32, first: np.float32) -> float:
        cosine = _f32(0.5) * (_f32(1) + np.cos(_f32(math.pi) * (now / steps)))
        # Keras takes alpha as a Python number, which meets a float32 tensor.
        return float(first * ((_f32(1) - _f32(self.alpha)) * cosine + _f32(self.alpha)))


SCHEDULES: dict[str, type] = {
    each.__name__: each
    for each in (CosineDecay, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay)
}


def build_schedule(name: str, arguments: Mapping[str, Any]) -> Schedule:
    """The schedule that Keras's class of that name would be.

    Args:
        name: One of SCHEDULES.
        arguments: Keras's, by Keras's names.

    Raises:
        UserError: An unknown name or argument, one too few, or steps that are not above 0.
    """
    if name not in SCHEDULES:
        raise UserError(f"no schedule {name}{did_you_mean(name, SCHEDULES)}: one of {', '.join(SCHEDULES)}")
    parameters = inspect.signature(SCHEDULES[name]).parameters
    for given in arguments:
        if given not in parameters:
            known = ", ".join(parameters)
            raise UserError(
                f"{name} has no argument {given}{did_you_mean(given, parameters)}: it takes {known}"
            )
    missing = [
        each.name
        for each in parameters.values()
        if each.default is inspect.Parameter.empty and each.name not in arguments
    ]
    if missing:
        raise UserError(f"{name} needs {' and '.join(missing)}")
    if "decay_steps" in arguments and not arguments["decay_steps"] > 0:
        raise UserError(f"{name}: decay_steps is {arguments['decay_steps']}: give a number above 0")
    return SCHEDULES[name](**arguments)


def schedule_from_keras_config(said: Mapping[str, Any]) -> Schedule:
    """The schedule that stands in an optimizer's config as its learning rate.

    Args:
        said: {"class_name", "config"}, as both generations serialise it.

    Raises:
        UserError: A schedule without a counterpart, or without its class or config.
    """
    if not isinstance(said.get("config"), Mapping) or not isinstance(said.get("class_name"), str):
        raise UserError("the learning rate is a schedule without its class_name or config")
    config = {name: value for name, value in said["config"].items() if name != "name"}
    return build_schedule(said["class_name"].rpartition(">")[2], config)


class FollowSchedule(LRScheduler):
    """Gives the optimizer the schedule's rate of each step; step it after every optimizer step.

    Args:
        optimizer: Its rates are replaced at once by that of step 0.
        schedule: Takes a step, from 0.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.schedule = schedule
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        return [self.schedule(self.last_epoch)] * len(self.optimizer.param_groups)

    def state_dict(self) -> dict[str, Any]:
        # The schedule itself comes from the config: a checkpoint holds plain values only.
        return {name: value for name, value in super().state_dict().items() if name != "schedule"}
