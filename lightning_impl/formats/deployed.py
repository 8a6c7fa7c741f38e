"""The net as it is exported, and the words that go with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from lightning_impl.module import Classifier
from lightning_impl.trained import Trained
from parity_common.installed_versions import installed_versions

# Not 0 or 1: torch.export would take either for the only size there is.
EXAMPLE_IMAGES = 2
INPUT_NAME, OUTPUT_NAME, BATCH_NAME = "images", "probabilities", "batch"
PREPROCESSING = (
    "As Keras's load_img: Pillow's convert(\"RGB\"), the first frame, alpha dropped, no EXIF rotation, then "
    "resize(({width}, {height}), NEAREST). Rescaling and standardising are built in: give 0-255."
)


class Deployed(nn.Module):
    """A classifier with its preprocessing before it and softmax behind it.

    Args:
        classifier: In evaluation mode, on the CPU.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, H, W, 3)` uint8 to probabilities `(N, classes)` float32."""
        return self.classifier(images).softmax(1)

    def example(self) -> Tensor:
        """Images to export with."""
        height, width = self.classifier.hparams["image_size"]
        return torch.zeros(EXAMPLE_IMAGES, height, width, 3, dtype=torch.uint8)


def describe(trained: Trained, checkpoint: Path) -> dict[str, str]:
    """What a file says of itself, by name; values that are not sentences are JSON.

    Args:
        trained: The opened checkpoint.
        checkpoint: The file, for its digest.
    """
    height, width = trained.hyperparameters["image_size"]
    names = trained.classifier.class_names
    return {
        "class_names": json.dumps(names),
        "input": f"{INPUT_NAME}: uint8 (N, {height}, {width}, 3), RGB, 0-255, any N",
        "output": f"{OUTPUT_NAME}: float32 (N, {len(names)}), softmax, in the order of class_names",
        "preprocessing": PREPROCESSING.format(width=width, height=height),
        "hyperparameters": json.dumps(trained.hyperparameters),
        "epoch": str(trained.epochs),
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "versions": json.dumps(installed_versions("torch", "lightning")),
    }
