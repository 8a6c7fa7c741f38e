"""A small run for tests of what comes after training, and what its net says, worked out by other code."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lightning_impl.module import Classifier
from parity_tests.entry_point import fit

CLASSES = tuple("abcdefg")
IMAGES_PER_CLASS = 10
VALIDATING = 2
# Height and width; not square, so that a swap is seen.
IMAGE_SIZE = (20, 17)


def picture(label: int, number: int) -> Image.Image:
    """Noise, of a brightness that neighbouring classes share in part: some are taken for one another."""
    random = np.random.RandomState(100 * label + number)
    pixels = random.randint(0, 70, (30, 40, 3)) + 25 * label + random.randint(0, 35)
    return Image.fromarray(pixels.astype(np.uint8))


def fit_pictures(folder: Path) -> Path:
    """Draws `folder/pictures`, seven classes of ten, and trains on them.

    Returns:
        The run folder.
    """
    for label, name in enumerate(CLASSES):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            picture(label, number).save(folder / "pictures" / name / f"{number:02}.png")
    settings = {
        "--data.root": folder / "pictures",
        "--data.image_size": f"[{IMAGE_SIZE[0]},{IMAGE_SIZE[1]}]",
        "--data.batch_size": 4,
        "--data.cache_dir": folder / "cache",
        "--data.expand": "null",
        "--model.learning_rate": 0.003,
        "--trainer.max_epochs": 12,
    }
    fit("--config", "v3", *(word for pair in settings.items() for word in pair), cwd=folder)
    (run,) = (folder / "runs" / "v3").iterdir()
    return run


def pictures_of(run: Path) -> Path:
    """The folder of class folders that it was trained on."""
    return run.parents[2] / "pictures"


def validation_files(run: Path) -> list[Path]:
    """Keras's rule: of each class the first fifth."""
    root = pictures_of(run)
    return [root / name / f"{number:02}.png" for name in CLASSES for number in range(VALIDATING)]


def best(run: Path) -> Path:
    return run / "checkpoints" / "best.ckpt"


def read_pixels(files: Sequence[Path]) -> NDArray[np.uint8]:
    """`(N, H, W, 3)`, by Pillow alone."""
    height, width = IMAGE_SIZE
    images = [
        Image.open(file).convert("RGB").resize((width, height), Image.Resampling.NEAREST) for file in files
    ]
    return np.stack([np.asarray(image) for image in images])


def logits_of(run: Path, files: Sequence[Path]) -> NDArray[np.float32]:
    """The best checkpoint's, `(N, classes)`, of the net and a division by 255 alone."""
    saved = torch.load(best(run), weights_only=True)
    classifier = Classifier(**saved["hyper_parameters"])
    classifier.load_state_dict(saved["state_dict"])
    images = torch.from_numpy(read_pixels(files)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        return classifier.net.eval()(images).numpy()


def probabilities_of(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))
