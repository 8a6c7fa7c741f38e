"""Lightning's progress bar as Keras's users read one: epochs from 1, figures of the epoch under way."""

from __future__ import annotations

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar


class EpochBar(RichProgressBar):
    """Says `Epoch 2/4` where the line of metrics.csv and the closing line say so, too.

    Lightning counts from 0, and shows of loss and accuracy the last epoch's.
    """

    def __init__(self, refresh_rate: int = 1) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self.running: dict[str, float] = {}

    def _get_train_description(self, current_epoch: int) -> str:
        epochs = self.trainer.max_epochs
        of_all = f"/{epochs}" if epochs is not None and epochs > 0 else ""
        # As long as the other bar's name: it would jump.
        return f"{f'Epoch {current_epoch + 1}{of_all}':{len(self.validation_description)}}"

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.running = {}
        super().on_train_epoch_start(trainer, module)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # On a GPU each reading waits for the step: no more of them than are shown.
        if self.is_enabled and (batch_idx + 1) % self.refresh_rate == 0:
            self.running = running_means(trainer)
        super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, module: LightningModule) -> dict[str, Any]:
        return {**super().get_metrics(trainer, module), **self.running}


def running_means(trainer: Trainer) -> dict[str, float]:
    """Means over the epoch's images so far, of what `training_step` logs; in this process."""
    means = {}
    for key, metric in trainer.fit_loop.epoch_loop._results.valid_items():
        if key.startswith("training_step.") and metric.is_tensor and metric.meta.is_mean_reduction:
            images = float(metric.cumulated_batch_size)
            if images:
                means[metric.meta.name] = float(metric.value) / images
    return means
