"""What makes a fit that was interrupted at any step end as one that never was, bit for bit on the CPU.

Lightning saves weights, optimizer and loop counters. Kept here beside them: the running means of the epoch
under way, dropout that does not depend on what came before, and a validation that is repeated whole. The
order of batches is `data.batches.EpochBatches`'s part.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint

from parity_common.command_errors import Stopped, UserError
from parity_common.run_folder import RunFolder

# A kill that cannot be caught loses at most this much, or an epoch where that is less.
SECONDS_BETWEEN_SAVES = 600.0
# Some launchers pass one Ctrl-C on more than once.
SECONDS_BEFORE_SECOND_SIGNAL = 1.0
FIGURES_KEY = "running_means"
# What cannot change on the way: weights or optimizer state would not fit, or mean something else.
FIXED_SETTINGS = {
    "arch": "model.arch",
    "arch_arguments": "model.arch_arguments",
    "fine_tune": "model.fine_tune",
    "image_size": "data.image_size",
    "optimizer": "model.optimizer",
    "optimizer_arguments": "model.optimizer_arguments",
    "profile": "model.profile",
    "schedule": "model.schedule",
    "standardise": "data.augment",
}


class ExactResume(Callback):
    """Draws dropout from (seed, step) alone, and keeps the running means of an unfinished epoch.

    Means are those of figures that `training_step` logs as tensors.
    """

    def __init__(self) -> None:
        self.figures: dict[str, dict[str, Any]] = {}

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if trainer.precision == "64-true":
            # Lightning restores the weights first and gives the net its precision then: they would pass
            # through float32.
            module.double()

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        epoch = trainer.fit_loop.epoch_progress.current
        if epoch.processed < epoch.ready:  # type: ignore[attr-defined]
            results = trainer.fit_loop.epoch_loop._results
            checkpoint[FIGURES_KEY] = {key: _pack(metric) for key, metric in results.valid_items()}
        if trainer.validating:
            # Lightning would count the batches before the save as validated and keep none of their figures.
            # These counters say: stopped in the first batch.
            progress = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
            for counters in (progress["total"], progress["current"]):
                counters.update(ready=1, started=1, processed=0, completed=0)
            progress["is_last_batch"] = False

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        self.figures = checkpoint.get(FIGURES_KEY, {})

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        results = trainer.fit_loop.epoch_loop._results
        for key, packed in self.figures.items():
            value = packed["value"].to(module.device)
            results.log(**packed["log"], value=value, batch_size=1, sync_dist_fn=trainer.strategy.reduce)
            results[key].value = value
            if packed["images"] is not None:
                results[key].cumulated_batch_size = packed["images"].to(module.device)

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.figures:
            # In what it takes for an epoch's first batch, Lightning starts the means anew.
            trainer._logger_connector._first_loop_iter = False
            self.figures = {}
        seed = trainer.datamodule.seed  # type: ignore[attr-defined]
        torch.manual_seed(step_seed(seed, trainer.fit_loop.total_batch_idx, trainer.global_rank))


class StepCheckpoint(Checkpoint):
    """Saves last.ckpt at the step under way: every ten minutes, and when Ctrl-C or SIGTERM ends the training.

    A second signal ends it at once. Lightning calls a Checkpoint after all other callbacks, so that what
    they did in the step is saved too.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.received: int | None = None
        self.received_at = 0.0
        self.saved_at = 0.0
        self.handlers_before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self.handlers_before[number] = signal.signal(number, self._remember)

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        for number, handler in self.handlers_before.items():
            signal.signal(number, handler)

    def end_if_asked(self, said: str) -> None:
        """Ends work that comes before the first step, once a signal has come.

        Raises:
            Stopped: It has; `said` tells what is kept.
        """
        if self.received is not None:
            raise Stopped(said, 128 + self.received)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.saved_at = time.monotonic()
        # Lightning has put its own handler around ours: it ends a fit at an epoch's end, with exit code 0.
        signal.signal(signal.SIGTERM, self._remember)
        trainer._signal_connector.received_sigterm = False

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if _is_between_steps(trainer, batch_idx) and self._must_save(trainer):
            self._save(trainer)
            self._stop_if_asked(trainer)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._save_and_stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        self._save_and_stop_if_asked(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        # last.ckpt is that of the last epoch's end.
        self._stop_if_asked(trainer)

    def _save_and_stop_if_asked(self, trainer: Trainer) -> None:
        # Processes validate different numbers of batches: one that asked the others here might wait for ever.
        if trainer.world_size == 1 and self.received is not None and not trainer.sanity_checking:
            self._save(trainer)
            self._stop_if_asked(trainer)

    def _must_save(self, trainer: Trainer) -> bool:
        """Whether a signal has come or a save is due: in this process or, where there are several, in any."""
        is_due = time.monotonic() - self.saved_at >= SECONDS_BETWEEN_SAVES
        if trainer.world_size == 1:
            return is_due or self.received is not None
        # Signals' numbers begin at 1, which is no signal that is waited for.
        mine = torch.tensor(self.received or int(is_due), device=trainer.strategy.root_device)
        largest = int(trainer.strategy.reduce(mine, reduce_op="max"))
        if largest > 1:
            self.received = largest
        return largest > 0

    def _save(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.run.checkpoints / "last.ckpt")
        self.saved_at = time.monotonic()

    def _stop_if_asked(self, trainer: Trainer) -> None:
        if self.received is None:
            return
        code = 128 + self.received
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            raise Stopped("fast_dev_run: nothing was kept", code)
        raise Stopped(f"saved at step {trainer.global_step}, go on with: {self._command()}", code)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None:
            self.received, self.received_at = number, now
        elif now - self.received_at > SECONDS_BEFORE_SECOND_SIGNAL:
            raise Stopped(f"at once; {self._what_is_saved()}", 128 + number)

    def _what_is_saved(self) -> str:
        last = self.run.checkpoints / "last.ckpt"
        if not last.exists():
            return "nothing was saved"
        return f"the steps since the last save are lost, go on with: {self._command()}"

    def _command(self) -> str:
        return f"python -m lightning_impl.fit --resume {self.run.path}"


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """The seed of torch's generators in one step: a hash of the run's seed, the step and the process."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def open_last_checkpoint(run: RunFolder) -> dict:
    """last.ckpt of a run that is to go on.

    Raises:
        UserError: It is damaged; the line names what to do.
    """
    last, best = run.checkpoints / "last.ckpt", run.checkpoints / "best.ckpt"
    try:
        saved = _load(last)
        finished_epochs(saved)
        return saved
    except Exception as error:
        # torch raises many kinds on a damaged file; to the user they are one.
        remedy = f"start anew with --config {run.path / 'config.yaml'}"
        try:
            remedy = f"cp {best} {last} goes on after epoch {finished_epochs(_load(best))}; or {remedy}"
        except Exception:
            remedy = f"best.ckpt does not load either; {remedy}" if best.exists() else remedy
        raise UserError(f"{last} is damaged ({type(error).__name__}): {remedy}") from error


def finished_epochs(checkpoint: dict) -> int:
    """How many epochs were over when a checkpoint was saved."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])


def check_goes_on(run: RunFolder, checkpoint: dict, hyperparameters: dict, max_epochs: int | None) -> None:
    """Refuses settings with which a run cannot go on.

    Raises:
        UserError: Another net, optimizer or profile, or fewer epochs than are over.
    """
    for name, key in FIXED_SETTINGS.items():
        theirs, ours = checkpoint["hyper_parameters"].get(name), hyperparameters.get(name)
        if theirs is not None and _plain(theirs) != _plain(ours):
            raise UserError(
                f"{run.path} was trained with {key} {_plain(theirs)}, not {_plain(ours)}: leave --{key} out, "
                "or start anew without --resume"
            )
    over = finished_epochs(checkpoint)
    if max_epochs is not None and -1 < max_epochs < over:
        raise UserError(f"{run.path} has {over} finished epochs: give --trainer.max_epochs {over} or more")


def _load(path: Path) -> dict:
    return torch.load(path, map_location="cpu", weights_only=True)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_between_steps(trainer: Trainer, batch_idx: int) -> bool:
    """Whether Lightning can go on exactly from here, a step's end.

    From a save before a validation it would leave out the validation, and from an epoch's last step the
    epoch's end; both can be saved once the validation has begun. Gathered gradients are never saved.
    """
    loop = trainer.fit_loop.epoch_loop
    fetcher = trainer.fit_loop._data_fetcher
    assert fetcher is not None
    is_gathering = (batch_idx + 1) % trainer.accumulate_grad_batches != 0
    return not (is_gathering or loop._is_training_done or loop._should_check_val_fx(fetcher))


def _pack(metric: Any) -> dict[str, Any]:
    meta = metric.meta
    images = getattr(metric, "cumulated_batch_size", None)
    return {
        "value": metric.value.cpu(),
        "images": None if images is None else images.cpu(),
        "log": {
            "fx": meta.fx,
            "name": meta.name,
            "prog_bar": meta.prog_bar,
            "logger": meta.logger,
            "on_step": meta.on_step,
            "on_epoch": meta.on_epoch,
            "reduce_fx": meta.reduce_fx.__name__,
            "enable_graph": meta.enable_graph,
            "add_dataloader_idx": meta.add_dataloader_idx,
            "sync_dist": meta.sync.should,
            "rank_zero_only": meta.sync.rank_zero_only,
        },
    }
