"""Writes the run folder from which a fit goes on where a Keras file's training was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lightning import Trainer

from lightning_impl.cli import DataCLI
from lightning_impl.keras_semantics.optimizers import KerasOptimizer
from lightning_impl.keras_semantics.schedules import FollowSchedule
from parity_common.command_errors import UserError
from parity_common.file_modes import give_usual_mode
from parity_common.run_folder import RunFolder
from porting.carry_over.net import Carried, put_weights
from porting.carry_over.optimizer import KerasOptimizerFound, put_state


def arrived(
    cli: DataCLI, found: KerasOptimizerFound, carried: Sequence[Carried], stage: int, precision: str
) -> Trainer:
    """A trainer of the config's module, both where the file's training was.

    Args:
        cli: The config's data and module.
        found: The file's optimizer.
        carried: The file's weights, in the module's net.
        stage: Of a fine-tuning; 1 without one.
        precision: The trainer's.

    Raises:
        UserError: The file's optimizer has not the state that it has here.
    """
    module = cli.model
    module.on_load_checkpoint({"hyper_parameters": dict(module.hparams), "fine_tune_stage": stage})
    trainer = Trainer(
        # Sets everything up and makes no step.
        max_epochs=0,
        accelerator="cpu",
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, cli.datamodule)
    # Only now has the net the precision in which they are kept.
    put_weights(carried, module.net)
    (optimizer,) = trainer.optimizers
    assert isinstance(optimizer, KerasOptimizer)
    put_state(found, carried, module.net, optimizer)
    for config in trainer.lr_scheduler_configs:
        scheduler = config.scheduler
        assert isinstance(scheduler, FollowSchedule)
        scheduler.last_epoch = found.steps
        for group, rate in zip(optimizer.param_groups, scheduler.get_lr(), strict=True):
            group["lr"] = rate
    return trainer


def write_run(cli: DataCLI, trainer: Trainer, out: Path) -> None:
    """Writes `out` whole or not at all.

    Args:
        cli: Whose config the run has.
        trainer: From `arrived`.
        out: A folder that does not exist.

    Raises:
        UserError: It cannot be written.
    """
    temporary = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
        run = RunFolder(temporary)
        run.checkpoints.mkdir()
        trainer.save_checkpoint(run.checkpoints / "last.ckpt")
        cli.parser.save(cli.config, temporary / "config.yaml", skip_unset=False, overwrite=True)
        give_usual_mode(temporary)
        os.rename(temporary, out)
    except (OSError, RuntimeError) as error:
        # torch's zip writer reports a full disk as a RuntimeError.
        raise UserError(f"--out {out} cannot be written ({error}): choose another") from error
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary)
