"""What a fit that has finished writes beside its checkpoints."""

from __future__ import annotations

import sys
from statistics import median

import torch

from lightning_impl.cli import FitCLI
from lightning_impl.data.examples import augmented_examples
from lightning_impl.evaluate import predict_probabilities
from lightning_impl.report.draw import draw_run
from parity_common.command_errors import EXIT_FAILED
from parity_common.installed_versions import installed_versions
from parity_common.predictions import Prediction, write_predictions
from parity_common.run_folder import RunFolder
from parity_common.run_pictures import AUGMENTATIONS, AUGMENTED_IMAGES, write_augmentation, write_mistakes

PACKAGES = ("torch", "torchvision", "lightning", "albumentations", "opencv-python-headless")


def close_run(run: RunFolder, cli: FitCLI) -> int:
    """Evaluates the best checkpoint, writes the result, then the pictures and the page, and the closing line.

    Returns:
        0, or 1 where pictures or page could not be made; the result stands all the same.
    """
    rows = run.read_metrics()
    # Epochs of every session of a run that was resumed, the frozen backbone's run of this one.
    seconds = sum(row["seconds"] for row in rows) + cli.frozen.seconds
    validated = [row for row in rows if row["val_accuracy"] is not None]
    best = max(validated, key=lambda row: (row["val_accuracy"], -row["epoch"]), default=None)
    predictions = _predict_best(run, cli) if best is not None else []
    data = cli.datamodule
    run.write_result(
        {
            "framework": "lightning",
            "config": cli.config.name or cli.default_name,
            "best_val_accuracy": best and best["val_accuracy"],
            "best_epoch": best and best["epoch"],
            "epochs": len(rows),
            "validated_epochs": len(validated),
            "classes": len(data.class_names),
            "training_images": len(data.training),
            "validation_images": len(data.validation),
            # As Keras counts: BatchNormalization's statistics, too.
            "parameters": sum(tensor.numel() for tensor in cli.model.net.state_dict().values()),
            "where": {name: choice.value for name, choice in data.choices.items()},
            "device": _device(cli),
            "seconds": round(seconds, 1),
            "images_per_second": median(row["images_per_second"] for row in _of_images(rows, cli)),
            "versions": installed_versions(*PACKAGES),
        }
    )
    code = _draw(run, cli, predictions)
    print(_closing_line(run, rows, best, len(data.class_names), seconds))
    return code


def _predict_best(run: RunFolder, cli: FitCLI) -> list[Prediction]:
    """Writes what the best checkpoint makes of the validation images."""
    data = cli.datamodule
    # Lightning has moved the net to the CPU.
    device = cli.trainer.strategy.root_device
    batches = data.validation_in_one_process(device)
    labels, probabilities = predict_probabilities(
        cli.model.to(device), run.checkpoints / "best.ckpt", batches
    )
    run.write_confusion(data.class_names, labels, probabilities.argmax(axis=1))
    files = [data.image_set.index.files[place] for place in data.validation.places]
    return write_predictions(run.path / "predictions.csv", data.class_names, files, labels, probabilities)


def _of_images(rows: list[dict], cli: FitCLI) -> list[dict]:
    """The epochs whose speed says something: not the first, and those that saw images and not features."""
    fine_tune = cli.model.fine_tune
    first = fine_tune.start_epoch if cli.frozen.has_features and fine_tune is not None else 0
    of_images = [row for row in rows if row["epoch"] >= first] or rows
    return of_images[1:] or of_images


def _closing_line(run: RunFolder, rows: list[dict], best: dict | None, classes: int, seconds: float) -> str:
    minutes = seconds / 60
    if best is None:
        return (
            f"no epoch was validated, so there is no best checkpoint; {run.checkpoints / 'last.ckpt'} holds "
            f"epoch {rows[-1]['epoch'] + 1}; trained for {minutes:.1f} min; run folder {run.path}"
        )
    without = [row["epoch"] + 1 for row in rows if row["val_accuracy"] is None]
    # The last one may be the best of all, and nobody knows.
    last = ", the last among them" if without and without[-1] == rows[-1]["epoch"] + 1 else ""
    said = f"; {len(without)} of {len(rows)} epochs were not validated{last}" if without else ""
    return (
        f"best validation accuracy {best['val_accuracy']:.1%} (epoch {best['epoch'] + 1}; chance is "
        f"{1 / classes:.1%}{said}) in {minutes:.1f} min; run folder {run.path}"
    )


def _draw(run: RunFolder, cli: FitCLI, predictions: list[Prediction]) -> int:
    data = cli.datamodule
    try:
        write_mistakes(run, predictions, data.image_set.open_images(), data.validation.places)
        if data.augment.is_random:
            shown = augmented_examples(data, AUGMENTED_IMAGES, AUGMENTATIONS)
            write_augmentation(run, shown.originals, shown.augmented)
        draw_run(run)
    except Exception as error:
        # Hours of training must not end in the traceback of a picture.
        again = f"python -m lightning_impl.report {run.path}"
        print(f"error: the run's page was not made ({error!r}): {again}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _device(cli: FitCLI) -> str:
    """The machine that trained, such as `CPU, 2 threads` or `4 x NVIDIA H100`."""
    device = cli.trainer.strategy.root_device
    if device.type == "cpu":
        threads = torch.get_num_threads()
        name = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    else:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    processes = cli.trainer.world_size
    return name if processes == 1 else f"{processes} x {name}"
