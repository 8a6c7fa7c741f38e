"""A run's folder changes once the training has begun: what is refused before leaves it as it was."""

from __future__ import annotations

import shutil
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from parity_common.run_folder import RunFolder


class RunStart(Callback):
    """After the first step writes config.yaml; of a run that goes on, takes away what its end had left.

    Comes before every callback that writes into the folder.

    Args:
        run: The run's folder.
        config: What drives it, as YAML.
        is_new: Whether this process has made the folder.
    """

    def __init__(self, run: RunFolder, config: str, is_new: bool) -> None:
        self.run = run
        self.config = config
        self.is_new = is_new
        self.finished_epochs = 0
        self.finished_steps = 0
        self.has_begun = False

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._begin_in(trainer)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._begin_in(trainer)

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._begin_in(trainer)

    def begin(self) -> None:
        """Changes the folder, the first time that it is called."""
        if self.has_begun:
            return
        self.has_begun = True
        if self.is_new:
            self.run.write_config(self.config)
        else:
            self.run.change_config(self.config, self.finished_steps)
            self.run.drop_metrics_from(self.finished_epochs)
            self.run.reopen()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was learnt that a folder could hold."""
        learnt = (self.run.path / "metrics.csv", *self.run.checkpoints.glob("*.ckpt"))
        return not any(path.exists() for path in learnt)

    def undo(self) -> None:
        """Removes the folder that this process has made, if it is empty."""
        if self.is_new and self.is_empty:
            shutil.rmtree(self.run.path, ignore_errors=True)

    def _begin_in(self, trainer: Trainer) -> None:
        if trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.begin()
