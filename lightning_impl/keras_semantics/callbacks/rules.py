"""When Keras lowers the learning rate, stops, or has a best epoch: decisions on figures alone, without torch.

Sources: keras 3.15 callbacks/{monitor_callback,reduce_lr_on_plateau,early_stopping}.py; tf_keras 2.21
callbacks.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError

MODES = ("auto", "min", "max")


def direction(callback: str, monitor: str, mode: str, profile: Profile) -> str:
    """ "min" or "max" for a callback's `mode`.

    Args:
        callback: Its class name in Keras.
        monitor: Such as "val_loss".
        mode: "auto", "min" or "max"; tf_keras takes any other word for "auto", and so does Keras 3.
        profile: The Keras generation.

    Raises:
        UserError: "auto" for a figure whose direction Keras 3 does not know.
    """
    if mode in ("min", "max"):
        return mode
    if profile.callbacks_guess_by_name:
        if callback == "ReduceLROnPlateau":
            return "max" if "acc" in monitor else "min"
        if callback == "ModelCheckpoint":
            return "max" if "acc" in monitor or monitor.startswith("fmeasure") else "min"
        return "max" if monitor.endswith(("acc", "accuracy", "auc")) else "min"
    known = {"loss": "min", "accuracy": "max"}.get(monitor.removeprefix("val_"))
    if known is None:
        raise UserError(f"{callback}: Keras 3 does not know whether {monitor} is to rise or fall: give mode")
    return known


@dataclass
class Best:
    """The best figure so far, and what counts as better.

    Attributes:
        falls: Whether less is better.
        min_delta: How much better it must be, at least; absolute.
        profile: The Keras generation.
        value: The best so far; None in Keras 3 before the first.
    """

    falls: bool
    min_delta: float
    profile: Profile
    value: float | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.profile.first_figure_is_best:
            self.value = math.inf if self.falls else -math.inf

    def is_better(self, figure: float, than: float | None) -> bool:
        """Whether `figure` improves on `than`. A figure that is no number never does."""
        if than is None:
            return True
        moved = figure + self.min_delta if self.falls else figure - self.min_delta
        if self.profile.first_figure_is_best:
            # Keras 3 compares as tensors, and TensorFlow makes a Python number float32 whatever floatx is.
            moved, than = float(np.float32(moved)), float(np.float32(than))
        return moved < than if self.falls else moved > than

    def take(self, figure: float) -> bool:
        """Whether `figure` is the best so far; then it is kept.

        In Keras 3 the first figure is, whatever it is: a first that is no number is never beaten.
        """
        better = self.is_better(figure, self.value)
        if better:
            self.value = figure
        return better


@dataclass
class PlateauRule:
    """ReduceLROnPlateau's decisions: acts when `patience` epochs have passed without a better figure.

    Attributes:
        profile: The Keras generation.
        monitor: The figure watched.
        factor: What the rate is multiplied by; below 1.
        patience: Epochs.
        mode: "auto", "min" or "max".
        min_delta: Absolute.
        cooldown: Epochs after a reduction in which none are counted.
        min_lr: The rate is not lowered below it.
        number: numpy's type of Keras's floatx, in which Keras 3 keeps the rate.
    """

    profile: Profile
    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 10
    mode: str = "auto"
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0
    number: type[np.floating] = np.float32
    wait: int = 0
    cooling: int = 0
    best: Best = field(init=False)

    def __post_init__(self) -> None:
        if self.factor >= 1:
            raise UserError(f"ReduceLROnPlateau: factor is {self.factor}: give a number below 1")
        falls = direction("ReduceLROnPlateau", self.monitor, self.mode, self.profile) == "min"
        # Keras 3 takes the size of min_delta, tf_keras takes it as it is given.
        delta = abs(self.min_delta) if self.profile.first_figure_is_best else self.min_delta
        self.best = Best(falls, delta, self.profile)

    def rate_after(self, figure: float, rate: float) -> float:
        """The learning rate from the next step on.

        Args:
            figure: The epoch's.
            rate: The present rate.
        """
        if self.cooling > 0:
            self.cooling -= 1
            self.wait = 0
        if self._improves(figure):
            self.best.value = figure
            self.wait = 0
        elif self.cooling <= 0:
            self.wait += 1
            if self.wait >= self.patience and self._stored(rate) > np.float32(self.min_lr):
                self.cooling, self.wait = self.cooldown, 0
                return self._stored(max(self._product(rate), self.min_lr))
        return rate

    def _improves(self, figure: float) -> bool:
        if self.profile.first_figure_is_best:
            return self.best.is_better(figure, self.best.value)
        # tf_keras moves the best here, not the figure: the other side of a last bit.
        assert self.best.value is not None
        if self.best.falls:
            return figure < self.best.value - self.min_delta
        return figure > self.best.value + self.min_delta

    def _stored(self, rate: float) -> float:
        """What Keras's variable holds: float32 in the legacy optimizers, floatx in Keras 3."""
        return float(np.float32(rate) if self.profile.optimizers_are_legacy else self.number(rate))

    def _product(self, rate: float) -> float:
        # tf_keras multiplies numpy's float32 by a Python number, which numpy 2 makes a float32, too.
        if self.profile.optimizers_are_legacy:
            return float(np.float32(rate) * np.float32(self.factor))
        return self._stored(rate) * self.factor


@dataclass
class StoppingRule:
    """EarlyStopping's decisions.

    Attributes:
        profile: The Keras generation.
        monitor: The figure watched.
        min_delta: Absolute.
        patience: Epochs without a better figure before it stops; 0 stops at the first.
        mode: "auto", "min" or "max".
        baseline: The waiting starts anew only at figures that are better than this, too.
        start_from_epoch: Earlier epochs are not looked at.
        keep: Whether the epoch just seen holds the weights that would be restored.
        stop: Whether the training ends.
    """

    profile: Profile
    monitor: str = "val_loss"
    min_delta: float = 0.0
    patience: int = 0
    mode: str = "auto"
    baseline: float | None = None
    start_from_epoch: int = 0
    wait: int = 0
    has_kept: bool = False
    keep: bool = False
    stop: bool = False
    best: Best = field(init=False)

    def __post_init__(self) -> None:
        falls = direction("EarlyStopping", self.monitor, self.mode, self.profile) == "min"
        self.best = Best(falls, abs(self.min_delta), self.profile)

    def see(self, epoch: int, figure: float) -> None:
        """Takes an epoch's figure and sets `keep` and `stop`.

        Args:
            epoch: From 0.
            figure: The epoch's.
        """
        self.keep = False
        if epoch < self.start_from_epoch:
            return
        # Weights are kept at the first look, should no figure ever be a better one.
        self.keep, self.has_kept = not self.has_kept, True
        self.wait += 1
        if self.best.take(figure):
            self.keep = True
            if self.baseline is None or self.best.is_better(figure, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stop = True


@dataclass
class CheckpointRule:
    """ModelCheckpoint's decisions where it saves the best only.

    Attributes:
        profile: The Keras generation.
        monitor: The figure watched.
        mode: "auto", "min" or "max".
        initial_value_threshold: The first must be better than this, too.
    """

    profile: Profile
    monitor: str = "val_loss"
    mode: str = "auto"
    initial_value_threshold: float | None = None
    best: Best = field(init=False)

    def __post_init__(self) -> None:
        falls = direction("ModelCheckpoint", self.monitor, self.mode, self.profile) == "min"
        self.best = Best(falls, 0.0, self.profile, self.initial_value_threshold)

    def is_saved(self, figure: float) -> bool:
        """Whether an epoch with this figure is saved; ties are not."""
        return self.best.take(figure)


Rule = PlateauRule | StoppingRule | CheckpointRule


def rule_state(rule: Rule) -> dict[str, Any]:
    """What changes in a rule, as plain values for a checkpoint."""
    names = ("wait", "cooling", "has_kept")
    return {name: getattr(rule, name) for name in names if hasattr(rule, name)} | {"best": rule.best.value}


def load_rule_state(rule: Rule, state: dict[str, Any]) -> None:
    """The inverse of `rule_state`."""
    for name, value in state.items():
        if name == "best":
            rule.best.value = value
        else:
            setattr(rule, name, value)
