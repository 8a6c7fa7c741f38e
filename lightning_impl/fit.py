"""Trains a classifier: `python -m lightning_impl.fit --config v3`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lightning_impl import __version__
from parity_common.command_errors import Stopped, UserError, run_command
from parity_common.config_files import config_names, find_config, read_config
from parity_common.run_folder import RunFolder

HELP = """\
usage: python -m lightning_impl.fit --config NAME [--config NAME_OR_FILE …] [--KEY VALUE …]

Trains a classifier of the record and leaves a run folder: config, metrics.csv, curves, confusion
matrix, best and last checkpoint.

  -c, --config NAME        one of: {names}; or a YAML file. Later ones win.
  --seed_everything N      start weights, dropout and batch order
  --model.arch v3          v1 | v2 | v3
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
    _fit(arguments, default_name, resumed[0] if resumed else None)
    return 0


def _fit(arguments: list[str], default_name: str, resumed: RunFolder | None) -> None:
    from lightning_impl.cpu_memory import keep_freed_memory

    keep_freed_memory()
    from lightning_impl.cli import FitCLI
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
        return
    if checkpoint is not None:
        check_goes_on(run, checkpoint, cli.model.hparams, trainer.max_epochs)
        run.drop_metrics_from(finished_epochs(checkpoint))
        # Its presence says that a run has finished.
        (run.path / "result.json").unlink(missing_ok=True)
    path = run.checkpoints / "last.ckpt" if resumed else None
    del checkpoint
    try:
        trainer.fit(cli.model, cli.datamodule, ckpt_path=path, weights_only=True)
    except Stopped as stopped:
        if trainer.is_global_zero:
            raise
        # One line is enough where several processes stop.
        sys.exit(stopped.exit_code)
    if trainer.is_global_zero:
        _close(run, cli)


def _close(run: RunFolder, cli) -> None:
    """Writes what a finished run holds beside its checkpoints, and the closing line."""
    from statistics import median

    from lightning_impl.evaluate import predict_labels
    from lightning_impl.report.draw import draw_run

    data = cli.datamodule
    rows = run.read_metrics()
    # Of every session of a run that was resumed.
    seconds = sum(row["seconds"] for row in rows)
    validated = [row for row in rows if row["val_accuracy"] is not None]
    best = max(validated, key=lambda row: (row["val_accuracy"], -row["epoch"]))
    batches = data.validation_in_one_process(cli.model.device)
    labels, predicted = predict_labels(cli.model, run.checkpoints / "best.ckpt", batches)
    run.write_confusion(data.class_names, labels, predicted)
    run.write_result(
        {
            "framework": "lightning",
            "config": cli.config.name or cli.default_name,
            "best_val_accuracy": best["val_accuracy"],
            "best_epoch": best["epoch"],
            "epochs": len(rows),
            "classes": len(data.class_names),
            "training_images": len(data.training),
            "validation_images": len(data.validation),
            "parameters": sum(parameter.numel() for parameter in cli.model.parameters()),
            "where": {name: choice.value for name, choice in data.choices.items()},
            "seconds": round(seconds, 1),
            "images_per_second": median(row["images_per_second"] for row in rows[1:] or rows),
        }
    )
    draw_run(run)
    print(
        f"best validation accuracy {best['val_accuracy']:.1%} (epoch {best['epoch'] + 1}; chance is "
        f"{1 / len(data.class_names):.1%}) in {seconds / 60:.1f} min; run folder {run.path}"
    )


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
        raise UserError(f"cannot resume {run}: it has no config.yaml{_runs_near(run)}")
    if not (run / "checkpoints/last.ckpt").is_file():
        raise UserError(
            f"cannot resume {run}: it has no checkpoints/last.ckpt; "
            f"start anew with --config {run}/config.yaml"
        )
    if (run / "result.json").exists():
        print(f"{run} had finished; going on only if --trainer.max_epochs is now higher", file=sys.stderr)


def _runs_near(path: Path) -> str:
    around = next((folder for folder in (path, *path.parents) if folder.is_dir()), Path())
    found = [*around.glob("*/checkpoints/last.ckpt"), *around.glob("*/*/checkpoints/last.ckpt")]
    newest = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)[:3]
    runs = ", ".join(str(file.parents[1]) for file in newest)
    return f"; the newest runs there: {runs}" if runs else "; start anew with --config"


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore::DeprecationWarning")
    run_command(main)
