"""Trains a classifier: `python -m lightning_impl.fit --config v3`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_impl import __version__
from lightning_impl.resumed_run import is_started_by_lightning, resumed_run
from parity_common.command_errors import Stopped, UserError, run_command
from parity_common.config_check import check_topmost
from parity_common.config_files import config_names, find_config, given_values, read_config
from parity_common.image_memory import memory_refused
from parity_common.run_folder import remove_leftovers
from parity_common.run_lock import only_user

if TYPE_CHECKING:
    from lightning_impl.cli import FitCLI

ENDS = ("max_epochs", "max_steps", "max_time", "limit_train_batches")
# Beside what the Keras side takes too.
OWN_KEYS = ("resume", "tensorboard")

HELP = """\
usage: python -m lightning_impl.fit --config NAME [--config NAME_OR_FILE …] [--KEY VALUE …]

Trains a classifier of the record and leaves a run folder: report.html, a page of the whole run; config,
metrics.csv, predictions.csv, best and last checkpoint.

  -c, --config NAME        one of: {names}; or a YAML file. Later ones win.
  --seed_everything N      start weights, dropout and batch order
  --model.arch v3          v1 | v2 | v3 | final (transfer learning) | plain
  --model.weights none     final's: package | keras-imagenet | torchvision-imagenet | PATH of a Keras file
                           or checkpoint
  --model.profile tf2.4    whose rules hold: tf2.4 | keras3
  --model.optimizer nadam  adam | nadam | rmsprop | sgd, Keras's defaults
  --model.learning_rate R
  --data.root FOLDER       a folder of class folders; without it the set of data.source is used
  --data.source stand_in   stand_in (drawn) | food101 | cifar100 | caltech101 (downloaded)
  --data.stand_in_per_class N
  --data.image_size [H,W]
  --data.batch_size N
  --data.validation_split S
  --data.subset_per_class N
  --data.augment.rotation_range D   and every other argument of ImageDataGenerator
  --data.expand N          each image once as it is and N - 1 times augmented
  --data.augment_on auto   workers | device        --data.cache auto   disk | memory | device
  --trainer.max_epochs N   and every other argument of lightning.Trainer
  --runs FOLDER            where run folders go (runs)       --name NAME  the run's name
  --resume RUN             goes on with a run that was stopped; last: the latest of --runs
  --tensorboard true       writes TensorBoard logs as well
  --print_config           shows the whole config and exits
  --help-all               every option                      --version
"""


def main() -> int:
    arguments = sys.argv[1:]
    # These answer before torch and lightning are imported, which takes many seconds.
    if not arguments or "-h" in arguments or "--help" in arguments:
        print(HELP.format(names=", ".join(config_names())), end="")
        return 0 if arguments else 2
    if "--version" in arguments:
        print(f"keras-lightning-parity {__version__}")
        return 0
    if "--help-all" in arguments:
        arguments = ["--help"]
    given = given_values(arguments, "--resume")[-1:]
    run = resumed_run(given[0], (given_values(arguments, "--runs") or ["runs"])[-1]) if given else None
    if run is not None:
        # What it is to go on with stands after the run's own settings, and wins.
        arguments = ["--config", str(run.path / "config.yaml"), *arguments, "--resume", str(run.path)]
    configs = given_values(arguments, "--config", "-c")
    for name in configs:
        path = find_config(name)
        content = read_config(path)
        check_topmost(content, path, OWN_KEYS)
        if content.get("resume") is not None:
            raise UserError(f"{path}: resume is for the command line: give --resume {content['resume']}")
    if run is None:
        return _fit(arguments, Path(configs[0]).stem if configs else "fit", is_resumed=False)
    name = run.path.absolute().parent.name
    if is_started_by_lightning():
        # The first process has the run.
        return _fit(arguments, name, is_resumed=True)
    with only_user(run.path):
        remove_leftovers(run.path)
        remove_leftovers(run.checkpoints)
        return _fit(arguments, name, is_resumed=True)


def _fit(arguments: list[str], default_name: str, is_resumed: bool) -> int:
    from lightning_impl.cpu_memory import keep_freed_memory
    from lightning_impl.cpu_sharing import share_processors

    keep_freed_memory()
    share_processors()
    from lightning_impl.cli import FitCLI

    cli = FitCLI(arguments, default_name)
    if is_resumed or not cli.trainer.is_global_zero:
        return _train(cli, is_resumed)
    with only_user(cli.run_folder.path):
        return _train(cli, is_resumed)


def _train(cli: FitCLI, is_resumed: bool) -> int:
    from lightning_impl.closing import close_run
    from lightning_impl.refusals import refusals_in_one_line
    from lightning_impl.resume import check_goes_on, finished_epochs, open_last_checkpoint

    run, trainer = cli.run_folder, cli.trainer
    path = None
    if is_resumed:
        checkpoint = open_last_checkpoint(run)
        check_goes_on(run, checkpoint, cli.model.hparams, trainer.max_epochs)
        cli.start.finished_epochs, cli.start.finished_steps = (
            finished_epochs(checkpoint),
            checkpoint["global_step"],
        )
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            cli.model.on_load_checkpoint(checkpoint)
            cli.model.load_state_dict(checkpoint["state_dict"])
        else:
            path = run.checkpoints / "last.ckpt"
        del checkpoint
    try:
        with memory_refused("a training step"), refusals_in_one_line("trainer settings"):
            trainer.fit(cli.model, cli.datamodule, ckpt_path=path, weights_only=True)
    except BaseException as error:
        if isinstance(error, Stopped) and not trainer.is_global_zero:
            # One line is enough where several processes stop.
            sys.exit(error.exit_code)
        if not (isinstance(error, Stopped) and cli.start.has_begun):
            cli.start.undo()
        raise
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        cli.start.undo()
        print("fast_dev_run: the code runs; nothing was kept")
        return 0
    if not trainer.is_global_zero:
        return 0
    if cli.start.is_empty:
        cli.start.undo()
        raise UserError(f"nothing was trained: {_what_ends_it(cli.config.trainer)}")
    cli.start.begin()
    return close_run(run, cli)


def _what_ends_it(trainer: Any) -> str:
    """The settings after which a training ends, those of 0 alone where there are such."""
    given = {name: trainer.get(name) for name in ENDS if trainer.get(name) not in (None, -1)}
    zero = {name: value for name, value in given.items() if value == 0}
    return (
        " and ".join(f"trainer.{name} is {value}" for name, value in (zero or given).items()) + ": give more"
    )


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore::DeprecationWarning")
    run_command(main)
