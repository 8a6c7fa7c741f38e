"""Trains a classifier: `python -m lightning_impl.fit --config v3`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lightning_impl import __version__
from lightning_impl.checkpoint_file import runs_near
from parity_common.command_errors import Stopped, UserError, run_command
from parity_common.config_files import config_names, find_config, read_config
from parity_common.run_folder import RunFolder

HELP = """\
usage: python -m lightning_impl.fit --config NAME [--config NAME_OR_FILE …] [--KEY VALUE …]

Trains a classifier of the record and leaves a run folder: report.html, a page of the whole run; config,
metrics.csv, predictions.csv, best and last checkpoint.

  -c, --config NAME        one of: {names}; or a YAML file. Later ones win.
  --seed_everything N      start weights, dropout and batch order
  --model.arch v3          v1 | v2 | v3 | final (transfer learning) | plain
  --model.weights none     final's: keras-imagenet | torchvision-imagenet | PATH of a Keras file or checkpoint
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
  --resume RUN             goes on with a run that was stopped
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
    resumed = [RunFolder(Path(path)) for path in _option_values(arguments, "--resume")[-1:]]
    if resumed:
        _require_resumable(resumed[0].path)
        arguments = ["--config", str(resumed[0].path / "config.yaml"), *arguments]
    configs = _option_values(arguments, "--config", "-c")
    for name in configs:
        read_config(find_config(name))
    default_name = Path(configs[0]).stem if configs else "fit"
    return _fit(arguments, default_name, resumed[0] if resumed else None)


def _fit(arguments: list[str], default_name: str, resumed: RunFolder | None) -> int:
    from lightning_impl.cpu_memory import keep_freed_memory
    from lightning_impl.cpu_sharing import share_processors

    keep_freed_memory()
    share_processors()
    from lightning_impl.cli import FitCLI
    from lightning_impl.closing import close_run
    from lightning_impl.resume import check_goes_on, finished_epochs, open_last_checkpoint

    cli = FitCLI(arguments, default_name)
    run, trainer = cli.run_folder, cli.trainer
    checkpoint = open_last_checkpoint(run) if resumed else None
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        if checkpoint is not None:
            cli.model.on_load_checkpoint(checkpoint)
            cli.model.load_state_dict(checkpoint["state_dict"])
        trainer.fit(cli.model, cli.datamodule)
        if checkpoint is None:
            shutil.rmtree(run.path)
        print("fast_dev_run: the code runs; nothing was kept")
        return 0
    if checkpoint is not None:
        check_goes_on(run, checkpoint, cli.model.hparams, trainer.max_epochs)
        run.drop_metrics_from(finished_epochs(checkpoint))
        run.reopen()
    path = run.checkpoints / "last.ckpt" if resumed else None
    del checkpoint
    try:
        trainer.fit(cli.model, cli.datamodule, ckpt_path=path, weights_only=True)
    except Stopped as stopped:
        if trainer.is_global_zero:
            raise
        # One line is enough where several processes stop.
        sys.exit(stopped.exit_code)
    return close_run(run, cli) if trainer.is_global_zero else 0


def _option_values(arguments: list[str], *names: str) -> list[str]:
    values = []
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in names:
            if equals:
                values.append(value)
            elif place + 1 < len(arguments):
                values.append(arguments[place + 1])
    return values


def _require_resumable(run: Path) -> None:
    if not (run / "config.yaml").is_file():
        hint = runs_near(run) or "; start anew with --config"
        raise UserError(f"cannot resume {run}: it has no config.yaml{hint}")
    if not (run / "checkpoints/last.ckpt").is_file():
        raise UserError(
            f"cannot resume {run}: it has no checkpoints/last.ckpt; "
            f"start anew with --config {run}/config.yaml"
        )
    if (run / "result.json").exists():
        print(f"{run} had finished; going on only if --trainer.max_epochs is now higher", file=sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore::DeprecationWarning")
    run_command(main)
