"""What a fit writes and says while it runs."""

from __future__ import annotations

import math
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from parity_common.command_errors import EXIT_FAILED, Stopped, UserError
from parity_common.run_folder import RunFolder, write_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole or absent: a temporary in the same folder, flushed, then moved.

    Lightning's own writer stages in the system's temporary folder; across file systems its move is a copy
    that a kill or a full disk cuts short, over the previous good checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_atomically(path, lambda temporary: torch.save(checkpoint, temporary))
        except (OSError, RuntimeError) as error:
            # torch's zip writer reports a full disk as a RuntimeError.
            kept = f"; last good: {path}" if path.exists() else ""
            raise UserError(
                f"could not save {path} ({error}): free space or choose another --runs{kept}"
            ) from error


def best_checkpoint(run: RunFolder) -> ModelCheckpoint:
    """Keeps `checkpoints/best.ckpt`, the earliest epoch of the highest val_accuracy."""
    return ModelCheckpoint(
        dirpath=run.checkpoints,
        filename="best",
        monitor="val_accuracy",
        mode="max",
        enable_version_counter=False,
    )


def last_checkpoint(run: RunFolder) -> ModelCheckpoint:
    """Keeps `checkpoints/last.ckpt`, the latest epoch that ended."""
    return ModelCheckpoint(
        dirpath=run.checkpoints, filename="last", monitor=None, enable_version_counter=False
    )


class EpochLog(Callback):
    """Writes a row of metrics.csv an epoch, and a line an epoch where no progress bar can show.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.started = 0.0
        self.training_seconds = 0.0

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.started = time.perf_counter()

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.training_seconds = time.perf_counter() - self.started

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        # Validation has run by now: Lightning calls this last in an epoch.
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        images = len(trainer.datamodule.training)  # type: ignore[attr-defined]
        row = {
            "epoch": trainer.current_epoch,
            "loss": figures["loss"],
            "accuracy": figures["accuracy"],
            "val_loss": figures.get("val_loss"),
            "val_accuracy": figures.get("val_accuracy"),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - self.started, 3),
            "images_per_second": round(images / self.training_seconds, 1),
        }
        self.run.append_metrics(row)
        if not sys.stderr.isatty():
            names = ("loss", "accuracy", "val_loss", "val_accuracy")
            shown = "  ".join(f"{name} {row[name]:.4f}" for name in names if row[name] is not None)
            epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            print(f"{epoch}  {shown}  {row['seconds']:.1f} s", file=sys.stderr, flush=True)


class StopOnNonFiniteLoss(Callback):
    """Ends a training whose loss is no number, naming the step; nothing after it could be learned."""

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not math.isfinite(float(outputs["loss"])):
            raise Stopped(
                f"the loss is {float(outputs['loss'])} at epoch {trainer.current_epoch + 1}, step "
                f"{trainer.global_step}: lower --model.learning_rate, or look for damaged images",
                EXIT_FAILED,
            )


class StopOnSignal(Callback):
    """Ctrl-C and SIGTERM end the training after the step under way; a second one ends it at once.

    Args:
        resume_hint: How the user goes on, put into the closing line.
    """

    def __init__(self, resume_hint: str) -> None:
        self.resume_hint = resume_hint
        self.received: int | None = None

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if stage == "fit":
            signal.signal(signal.SIGINT, self._remember)
            signal.signal(signal.SIGTERM, self._remember)

    def on_train_batch_end(self, *args: object) -> None:
        self._stop_if_asked()

    def on_validation_batch_end(self, *args: object) -> None:
        self._stop_if_asked()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number

    def _stop_if_asked(self) -> None:
        if self.received is not None:
            raise Stopped(self.resume_hint, 128 + self.received)
