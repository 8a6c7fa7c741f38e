"""A trained classifier over images it has not learned from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.module import Classifier


@torch.inference_mode()
def predict_labels(
    model: Classifier, checkpoint: Path, batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True and predicted class numbers, `(N,)` each, with the weights of `checkpoint`.

    The model keeps those weights and is left in evaluation mode.

    Args:
        model: On the device of the batches.
        checkpoint: Of such a model.
        batches: Images and labels.
    """
    saved = torch.load(checkpoint, map_location=model.device, weights_only=True)
    model.load_state_dict(saved["state_dict"])
    model.eval()
    labels, predicted = [], []
    for images, truth in batches:
        predicted.append(model(images).argmax(1).cpu().numpy())
        labels.append(truth.cpu().numpy())
    return np.concatenate(labels), np.concatenate(predicted)
