"""Trains a classifier: `python -m lightning_impl.fit --config v3`."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from lightning_impl import __version__
from parity_common.command_errors import UserError, run_command
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
  --data.root FOLDER       a folder of class folders; without it the drawn stand-in set is used
  --data.stand_in_per_class N
  --data.image_size [H,W]
  --data.batch_size N
  --data.validation_split S
  --data.subset_per_class N
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
    resumed = _option_values(arguments, "--resume")
    if resumed:
        run = Path(resumed[-1])
        _require_resumable(run)
        arguments = ["--config", str(run / "config.yaml"), *arguments]
    configs = _option_values(arguments, "--config", "-c")
    for name in configs:
        read_config(find_config(name))
    default_name = Path(configs[0]).stem if configs else "fit"
    _fit(arguments, default_name, run / "checkpoints/last.ckpt" if resumed else None)
    return 0


def _fit(arguments: list[str], default_name: str, checkpoint: Path | None) -> None:
    from lightning_impl.cpu_memory import keep_freed_memory

    keep_freed_memory()
    from lightning_impl.cli import FitCLI

    cli = FitCLI(arguments, default_name)
    run, trainer, data = cli.run_folder, cli.trainer, cli.datamodule
    if checkpoint is not None:
        run.drop_metrics_from(_next_epoch(checkpoint))
    started = time.perf_counter()
    trainer.fit(cli.model, data, ckpt_path=checkpoint, weights_only=True)
    seconds = time.perf_counter() - started
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        # Never a run that was there before.
        if checkpoint is None:
            shutil.rmtree(run.path)
        print("fast_dev_run: the code runs; nothing was kept")
        return
    _close(run, cli, seconds)


def _close(run: RunFolder, cli, seconds: float) -> None:
    """Writes what a finished run holds beside its checkpoints, and the closing line."""
    from statistics import median

    from lightning_impl.evaluate import predict_labels
    from lightning_impl.report.confusion import confusion_counts
    from lightning_impl.report.draw import draw_run

    data = cli.datamodule
    rows = run.read_metrics()
    best = max(rows, key=lambda row: (row["val_accuracy"], -row["epoch"]))
    labels, predicted = predict_labels(cli.model, run.checkpoints / "best.ckpt", data.val_dataloader())
    run.write_confusion(data.class_names, confusion_counts(labels, predicted, len(data.class_names)))
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
    for needed in ("config.yaml", "checkpoints/last.ckpt"):
        if not (run / needed).is_file():
            raise UserError(f"cannot resume {run}: it has no {needed}; start anew with --config")
    if (run / "result.json").exists():
        print(f"{run} had finished; going on only if --trainer.max_epochs is now higher", file=sys.stderr)


def _next_epoch(checkpoint: Path) -> int:
    import torch

    try:
        return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1
    except Exception as error:
        # torch raises many kinds on a damaged file; to the user they are one.
        raise UserError(
            f"{checkpoint} is damaged ({type(error).__name__}): try best.ckpt in its place, or start anew"
        ) from error


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore::DeprecationWarning")
    run_command(main)
