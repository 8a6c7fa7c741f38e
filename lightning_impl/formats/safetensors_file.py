"""Weights as safetensors; the file's metadata say of which net."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file

from lightning_impl.formats.deployed import Deployed
from lightning_impl.module import Classifier


def write(deployed: Deployed, metadata: dict[str, str], path: Path) -> None:
    """Writes the classifier's arrays, named as in its checkpoint."""
    # The format knows no memory layout.
    arrays = {name: array.contiguous() for name, array in deployed.classifier.state_dict().items()}
    save_file(arrays, path, metadata)


def open_classifier(path: Path) -> Classifier:
    """The classifier, in evaluation mode, from the file alone."""
    with safe_open(path, framework="pt") as file:
        classifier = Classifier(**json.loads(file.metadata()["hyperparameters"]))
        classifier.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return classifier.eval()


def open_file(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from images to probabilities."""
    deployed = Deployed(open_classifier(path))

    @torch.inference_mode()
    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return deployed(torch.from_numpy(images)).numpy()

    return run
