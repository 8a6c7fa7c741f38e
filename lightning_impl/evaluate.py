"""A trained classifier over a part of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from lightning_impl.module import Classifier


@torch.inference_mode()
def predict_labels(
    model: Classifier, checkpoint: Path, loader: DataLoader
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True and predicted class numbers, `(N,)` each, with the weights of `checkpoint`.

    The model keeps those weights and is left in evaluation mode.
    """
    saved = torch.load(checkpoint, map_location=model.device, weights_only=True)
    model.load_state_dict(saved["state_dict"])
    model.eval()
    labels, predicted = [], []
    for images, truth in loader:
        predicted.append(model(images.to(model.device)).argmax(1).cpu().numpy())
        labels.append(truth.numpy())
    return np.concatenate(labels), np.concatenate(predicted)
