"""Keras's callbacks for Lightning's Trainer: the rules of rules.py at Keras's moments.

Keras calls on_epoch_end after the epoch's validation. Lightning's on_train_epoch_end comes after it, too,
when validation runs at the end of each epoch, its default.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint

from lightning_impl.keras_semantics.callbacks.rules import (
    CheckpointRule,
    PlateauRule,
    StoppingRule,
    load_rule_state,
    rule_state,
)
from lightning_impl.keras_semantics.optimizers import KerasOptimizer
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError, did_you_mean


def monitored(trainer: Trainer, callback: str, monitor: str) -> float | None:
    """The epoch's figure of that name; None where max_steps ends the epoch before its first validation.

    Raises:
        UserError: Nothing of that name is logged.
    """
    figures = trainer.callback_metrics
    if monitor not in figures:
        if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
            return None
        known = ", ".join(figures)
        raise UserError(
            f"{callback}: there is no figure {monitor}{did_you_mean(monitor, figures)} (there are {known})"
        )
    return float(figures[monitor])


def floatx_of(module: LightningModule) -> type[np.floating]:
    """numpy's type of the dtype in which a module trains, which in Keras is floatx."""
    return np.float64 if next(module.parameters()).dtype == torch.float64 else np.float32


class KerasReduceLROnPlateau(Callback):
    """Keras's ReduceLROnPlateau.

    Args:
        profile: The Keras generation.
        arguments: Keras's: monitor, factor, patience, mode, min_delta, cooldown, min_lr.

    Raises:
        UserError: An unknown argument, or a factor of 1 or more.
    """

    def __init__(self, profile: Profile, **arguments: Any) -> None:
        self.rule = PlateauRule(profile, **_known("ReduceLROnPlateau", PlateauRule, arguments))

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        _require_settable_rate("ReduceLROnPlateau", trainer)
        self.rule.number = floatx_of(module)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        figure = monitored(trainer, "ReduceLROnPlateau", self.rule.monitor)
        if figure is None:
            return
        groups = trainer.optimizers[0].param_groups
        rate = self.rule.rate_after(figure, float(groups[0]["lr"]))
        for group in groups:
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        return rule_state(self.rule)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        load_rule_state(self.rule, state_dict)


class KerasEarlyStopping(Callback):
    """Keras's EarlyStopping.

    With `restore_best_weights` the module gets the best epoch's weights back when the training ends, whether
    or not it was stopped (keras 3.15 and tf_keras 2.21; TF 2.4 itself did so only where it stopped).

    Args:
        profile: The Keras generation.
        restore_best_weights: As in Keras.
        arguments: Keras's others: monitor, min_delta, patience, mode, baseline, start_from_epoch.

    Raises:
        UserError: An unknown argument.
    """

    def __init__(self, profile: Profile, restore_best_weights: bool = False, **arguments: Any) -> None:
        self.rule = StoppingRule(profile, **_known("EarlyStopping", StoppingRule, arguments))
        self.restore_best_weights = restore_best_weights
        self.best_weights: dict[str, torch.Tensor] | None = None

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        figure = monitored(trainer, "EarlyStopping", self.rule.monitor)
        if figure is None:
            return
        self.rule.see(trainer.current_epoch, figure)
        if self.rule.keep and self.restore_best_weights:
            self.best_weights = {name: value.clone() for name, value in module.state_dict().items()}
        if self.rule.stop:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.best_weights is not None:
            module.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        return rule_state(self.rule) | {"best_weights": self.best_weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = dict(state_dict)
        self.best_weights = state.pop("best_weights")
        load_rule_state(self.rule, state)


class KerasModelCheckpoint(Checkpoint):
    """Keras's ModelCheckpoint; what it saves are Lightning's checkpoints.

    Args:
        profile: The Keras generation.
        filepath: Ends in .ckpt; may hold `{epoch}`, from 1, and the figures' names, as in Keras.
        save_best_only: Only epochs whose figure beats all before; a tie does not.
        save_weights_only: Leave the optimizer's state and the loops' counters out.
        save_freq: "epoch", or a number of batches, counted over all epochs.
        arguments: Keras's others: monitor, mode, initial_value_threshold.

    Raises:
        UserError: An unknown argument, or a path with another ending.
    """

    def __init__(
        self,
        profile: Profile,
        filepath: str,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        save_freq: int | str = "epoch",
        **arguments: Any,
    ) -> None:
        if not str(filepath).endswith(".ckpt"):
            raise UserError(f"ModelCheckpoint: filepath is {filepath}: give a path that ends in .ckpt")
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise UserError(
                f'ModelCheckpoint: save_freq is "{save_freq}": give "epoch" or a number of batches'
            )
        # Keras minds the direction only where it decides.
        known = _known("ModelCheckpoint", CheckpointRule, arguments)
        self.rule = CheckpointRule(profile, **known) if save_best_only else None
        self.filepath = str(filepath)
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.batches = 0

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.batches += 1
        if self.save_freq != "epoch" and self.batches >= int(self.save_freq):
            self.batches = 0
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.save_freq == "epoch":
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        if self.rule is not None:
            figure = monitored(trainer, "ModelCheckpoint", self.rule.monitor)
            if figure is None or not self.rule.is_saved(figure):
                return
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        path = self.filepath.format(epoch=trainer.current_epoch + 1, **figures)
        trainer.save_checkpoint(path, weights_only=self.save_weights_only)

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.batches} | ({} if self.rule is None else rule_state(self.rule))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = dict(state_dict)
        self.batches = state.pop("batches")
        if self.rule is not None:
            load_rule_state(self.rule, state)


class FinalizeVariables(Callback):
    """What Keras's fit() does after the last epoch: with `use_ema`, weights become their averages.

    Epochs are validated, and saved, with the weights before (keras 3.15 backend/tensorflow/trainer.py,
    `fit`). Keras's own callbacks come after it: EarlyStopping's best weights replace the averages.
    `CompiledModule` brings it along; where a fit has one of its own it stands first.
    """

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        for optimizer in trainer.optimizers:
            if isinstance(optimizer, KerasOptimizer):
                optimizer.finalize_variable_values()


class KerasTerminateOnNaN(Callback):
    """Keras's TerminateOnNaN: ends the training after a batch whose loss is no number or infinite."""

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not math.isfinite(float(outputs["loss"])):
            trainer.should_stop = True


class KerasLearningRateScheduler(Callback):
    """Keras's LearningRateScheduler: sets the rate before each epoch.

    Args:
        schedule: Takes the epoch, from 0, and the present rate, or the epoch alone; gives the new rate.
    """

    def __init__(self, schedule: Callable[..., float]) -> None:
        self.schedule = schedule
        self.takes_rate = len(inspect.signature(schedule).parameters) > 1

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        _require_settable_rate("LearningRateScheduler", trainer)

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        groups = trainer.optimizers[0].param_groups
        given = (float(groups[0]["lr"]),) if self.takes_rate else ()
        rate = float(self.schedule(trainer.current_epoch, *given))
        for group in groups:
            group["lr"] = rate


def callbacks_from_keras(said: Iterable[Mapping[str, Any]], profile: Profile) -> list[Callback]:
    """The Lightning callbacks for Keras's, in their order.

    Args:
        said: {"class", "config"} of each, the config by Keras's argument names; of a LearningRateScheduler
            the "rates" that it gave, one an epoch. Those that change nothing in a training are passed over.
        profile: The Keras generation.

    Raises:
        UserError: A callback without a counterpart.
    """
    callbacks: list[Callback] = []
    for each in said:
        name, config = each["class"], dict(each["config"])
        if name == "ReduceLROnPlateau":
            callbacks.append(KerasReduceLROnPlateau(profile, **config))
        elif name == "EarlyStopping":
            callbacks.append(KerasEarlyStopping(profile, **config))
        elif name == "TerminateOnNaN":
            callbacks.append(KerasTerminateOnNaN())
        elif name == "LearningRateScheduler":
            if not config.get("rates"):
                raise UserError(
                    "the rates that LearningRateScheduler gave are missing: record the training again"
                )
            callbacks.append(KerasLearningRateScheduler(partial(_rate_given, config["rates"])))
        elif name not in IDLE_CALLBACKS:
            raise UserError(f"callback {name} has no counterpart here: give it to the Trainer yourself")
    return callbacks


def _rate_given(rates: list[float], epoch: int) -> float:
    # A training that goes on where Keras's ended is told apart by its length.
    return rates[min(epoch, len(rates) - 1)]


IDLE_CALLBACKS = (
    "ModelCheckpoint",
    "CSVLogger",
    "TensorBoard",
    "ProgbarLogger",
    "History",
    "BackupAndRestore",
)


def _require_settable_rate(callback: str, trainer: Trainer) -> None:
    # Keras refuses it as well, when the callback first acts.
    if trainer.lr_scheduler_configs:
        raise UserError(f"{callback} cannot change a learning rate that a schedule sets: leave one out")


def _known(callback: str, rule: type, arguments: dict[str, Any]) -> dict[str, Any]:
    state = ("profile", "number", "wait", "cooling", "has_kept", "keep", "stop", "best")
    known = [name for name in inspect.signature(rule).parameters if name not in state]
    for name in arguments:
        if name not in known:
            raise UserError(
                f"{callback} has no argument {name}{did_you_mean(name, known)}: it takes {', '.join(known)}"
            )
    return arguments
