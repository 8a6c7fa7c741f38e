"""What a fit writes and says while it runs."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from lightning_impl.keras_semantics.callbacks import FinalizeVariables
from lightning_impl.keras_semantics.optimizers import KerasOptimizer
from lightning_impl.module import WEIGHTS_BEFORE_AVERAGING
from parity_common.command_errors import EXIT_FAILED, Stopped, UserError
from parity_common.run_folder import RunFolder, write_atomically
from parity_common.write_errors import why_not_written


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole or absent: a temporary in the same folder, flushed, then moved.

    Lightning's own writer stages in the system's temporary folder; across file systems its move is a copy
    that a kill or a full disk cuts short, over the previous good checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        path = Path(path)

        def write(temporary: Path) -> None:
            # torch's zip writer hides what a failed write comes of, unless it is a file of Python's.
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, write)
        except (OSError, RuntimeError) as error:
            good = path if path.exists() else next(iter(sorted(path.parent.glob("*.ckpt"))), None)
            kept = "" if good is None else f"; last good: {good}"
            raise UserError(
                f"could not save {path} ({why_not_written(error)}): free space or choose another --runs{kept}"
            ) from error


class RunCheckpoint(ModelCheckpoint):
    """A ModelCheckpoint whose run folder may have moved, or be named by another path, since it was saved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # Lightning forgets the best score where the folder is another: a worse epoch would be the best then.
        moved = {**state_dict, "dirpath": self.dirpath}
        for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
            moved[key] = self._here(moved[key])
        moved["best_k_models"] = {self._here(path): score for path, score in moved["best_k_models"].items()}
        super().load_state_dict(moved)
        self.current_score = moved["current_score"]

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else ""


def best_checkpoint(run: RunFolder) -> ModelCheckpoint:
    """Keeps `checkpoints/best.ckpt`, the earliest epoch of the highest val_accuracy."""
    return RunCheckpoint(
        dirpath=run.checkpoints,
        filename="best",
        monitor="val_accuracy",
        mode="max",
        enable_version_counter=False,
    )


def last_checkpoint(run: RunFolder) -> ModelCheckpoint:
    """Keeps `checkpoints/last.ckpt`, the latest epoch that ended; `StepCheckpoint` puts later steps there."""
    return RunCheckpoint(
        dirpath=run.checkpoints,
        filename="last",
        monitor=None,
        # Else Lightning saves after validations alone where not every epoch has one.
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


class AveragedWeights(FinalizeVariables):
    """With `use_ema`, last.ckpt holds in the end what Keras's `model.save` would after fit: the averages.

    The weights before lie beside them, so that a run that goes on with more epochs ends as one that had them
    from the start.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.last = run.checkpoints / "last.ckpt"

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_end(trainer, module)
        optimizer = trainer.optimizers[0]
        if not (isinstance(optimizer, KerasOptimizer) and optimizer.averages) or not trainer.is_global_zero:
            return
        if self.last.exists():
            saved = torch.load(self.last, map_location="cpu", weights_only=True)
            saved[WEIGHTS_BEFORE_AVERAGING] = saved["state_dict"]
            saved["state_dict"] = module.state_dict()
            AtomicCheckpointIO().save_checkpoint(saved, self.last)
            print(
                "use_ema: last.ckpt holds the averaged weights; best.ckpt and the epochs' figures are of the "
                "weights before",
                file=sys.stderr,
            )


class EpochLog(Callback):
    """Writes a row of metrics.csv an epoch, and a line an epoch where no progress bar can show.

    Args:
        run: The run's folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.started = 0.0
        self.seconds_before = 0.0
        self.training_seconds: float | None = None
        self.validation: dict[str, float] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": time.perf_counter() - self.started, "validation": self.validation}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds_before, self.validation = state_dict["seconds"], state_dict["validation"]

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        # Lightning does not call the next hook in an epoch that goes on.
        self.started = time.perf_counter() - self.seconds_before
        if trainer.is_global_zero:
            print(f"data: {trainer.datamodule.describe()}", file=sys.stderr)  # type: ignore[attr-defined]

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.started = time.perf_counter()
        self.training_seconds = None
        self.validation = {}

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.training_seconds = time.perf_counter() - self.started

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.sanity_checking:
            figures = trainer.callback_metrics
            self.validation = {name: float(figures[name]) for name in ("val_loss", "val_accuracy")}

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        # Validation has run by now: Lightning calls this last in an epoch.
        seconds = time.perf_counter() - self.started
        images = trainer.datamodule.images_per_epoch  # type: ignore[attr-defined]
        row = {
            "epoch": trainer.current_epoch,
            "loss": float(trainer.callback_metrics["loss"]),
            "accuracy": float(trainer.callback_metrics["accuracy"]),
            "val_loss": self.validation.get("val_loss"),
            "val_accuracy": self.validation.get("val_accuracy"),
            # The shortest decimal that means the float32 that Keras keeps: 0.025, not 0.02500000037252903.
            "learning_rate": float(str(np.float32(trainer.optimizers[0].param_groups[0]["lr"]))),
            "seconds": round(seconds, 3),
            "images_per_second": round(images / (self.training_seconds or seconds), 1),
        }
        if not trainer.is_global_zero:
            return
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.run.append_metrics(row)
        if not sys.stderr.isatty():
            names = ("loss", "accuracy", "val_loss", "val_accuracy")
            shown = "  ".join(f"{name} {row[name]:.4f}" for name in names if row[name] is not None)
            epochs = trainer.max_epochs or 0
            of_all = f"/{epochs}" if epochs > 0 else ""
            epoch = f"epoch {trainer.current_epoch + 1}{of_all}"
            print(f"{epoch}  {shown}  {row['seconds']:.1f} s", file=sys.stderr, flush=True)


class StopOnNonFiniteLoss(Callback):
    """Ends a training whose loss is not finite, naming the step; nothing after it could be learned.

    A validation loss that is not ends it, too: the weights are no good, whatever the training loss says.
    """

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not math.isfinite(float(outputs["loss"])):
            raise Stopped(
                f"the loss is {float(outputs['loss'])} at epoch {trainer.current_epoch + 1}, step "
                f"{trainer.global_step}: lower --model.learning_rate, or look for damaged images",
                EXIT_FAILED,
            )

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        loss = float(trainer.callback_metrics.get("val_loss", 0.0))
        if not trainer.sanity_checking and not math.isfinite(loss):
            raise Stopped(
                f"the validation loss is {loss} at epoch {trainer.current_epoch + 1}: lower "
                "--model.learning_rate, or look for damaged images",
                EXIT_FAILED,
            )
