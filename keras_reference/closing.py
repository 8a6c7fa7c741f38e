"""What a fit that has finished writes beside its checkpoints."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType

import numpy as np

from keras_reference.backend import PACKAGE_OF_PROFILE
from keras_reference.batches import BatchMaker
from keras_reference.checkpoints import Checkpoints
from keras_reference.config import Settings
from keras_reference.data import ImageFiles, Part
from keras_reference.training import predict_probabilities
from parity_common.command_errors import EXIT_FAILED
from parity_common.installed_versions import installed_versions
from parity_common.predictions import Prediction, write_predictions
from parity_common.processors import granted_processors
from parity_common.run_folder import RunFolder
from parity_common.run_pictures import (
    AUGMENTATIONS,
    AUGMENTED_IMAGES,
    shown_items,
    write_augmentation,
    write_mistakes,
)

PACKAGES = ("tensorflow", "keras", "tf_keras", "keras-preprocessing")


@dataclass(frozen=True)
class Trained:
    """A training that has come to its end.

    Attributes:
        folder: Of class folders.
        files: All the images' files.
        training: The training images.
        validation: The validation images.
        batches: Made the batches of both.
        checkpoints: The best and the last.
        rows: Those of metrics.csv.
        seconds: From the first batch to the last.
    """

    folder: Path
    files: ImageFiles
    training: Part
    validation: Part
    batches: BatchMaker
    checkpoints: Checkpoints
    rows: list[dict]
    seconds: float


def close_run(keras: ModuleType, settings: Settings, run: RunFolder, trained: Trained) -> int:
    """Evaluates the best checkpoint, writes the result, then the pictures and the page, and the closing line.

    Returns:
        0, or 1 where pictures or page could not be made; the result stands all the same.
    """
    files, validation, rows = trained.files, trained.validation, trained.rows
    best_row = trained.checkpoints.best_row
    best = keras.models.load_model(trained.checkpoints.best, compile=False)
    probabilities = predict_probabilities(best, validation, trained.batches)
    run.write_confusion(files.class_names, validation.labels, probabilities.argmax(axis=1))
    predictions = write_predictions(
        run.path / "predictions.csv",
        files.class_names,
        [
            os.path.relpath(files.paths[place], trained.folder)
            for place in np.flatnonzero(files.is_validation)
        ],
        validation.labels,
        probabilities,
    )
    run.write_result(
        {
            "framework": "keras",
            "package": f"{PACKAGE_OF_PROFILE[settings.model.profile]} {keras.__version__}",
            "config": settings.name,
            "best_val_accuracy": best_row["val_accuracy"],
            "best_epoch": best_row["epoch"],
            "epochs": len(rows),
            "classes": len(files.class_names),
            "training_images": len(trained.training.labels),
            "validation_images": len(validation.labels),
            "parameters": best.count_params(),
            "device": _device(),
            "seconds": round(trained.seconds, 1),
            # The first epoch traces and compiles.
            "images_per_second": median(row["images_per_second"] for row in rows[1:] or rows),
            "versions": installed_versions(*PACKAGES),
        }
    )
    code = _draw(run, settings, trained, predictions)
    print(
        f"best validation accuracy {best_row['val_accuracy']:.1%} "
        f"(epoch {best_row['epoch'] + 1}; chance is {1 / len(files.class_names):.1%}) "
        f"in {trained.seconds / 60:.1f} min; run folder {run.path}"
    )
    return code


def _draw(run: RunFolder, settings: Settings, trained: Trained, predictions: list[Prediction]) -> int:
    # A child draws, since this process must not import the torch side.
    command = ["-m", "lightning_impl.report", str(run.path)]
    try:
        places = np.arange(len(predictions))
        write_mistakes(run, predictions, trained.validation.images, places)
        if settings.data.augment.is_random:
            _write_augmentation(run, settings, trained)
        subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    except Exception as error:
        # Hours of training must not end in the traceback of a picture.
        again = " ".join(["python", *command])
        print(f"error: the run's page was not made ({error!r}): {again}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def _write_augmentation(run: RunFolder, settings: Settings, trained: Trained) -> None:
    images = trained.training.images
    shown, items = shown_items(len(images), AUGMENTED_IMAGES, AUGMENTATIONS, settings.data.expand)
    augmented = [
        [
            trained.batches.augmented(
                images[place].astype(np.float32), settings.seed_everything, 0, int(item)
            )
            for item in row
        ]
        for place, row in zip(shown, items, strict=True)
    ]
    write_augmentation(run, images[shown], np.array(augmented))


def _device() -> str:
    """The machine that trained."""
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    if not devices:
        return f"CPU, {granted_processors()} cores"
    return tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU")
