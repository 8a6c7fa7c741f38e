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
def predict_probabilities(
    model: Classifier, checkpoint: Path, batches: Iterable[tuple[Tensor, Tensor]]
) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """True class numbers `(N,)` and probabilities `(N, classes)`, with the weights of `checkpoint`.

    The model keeps those weights and is left in evaluation mode, in float32 if it was trained in less: as
    `lightning_impl.test` and `predict` open a checkpoint.

    Args:
        model: On the device of the batches.
        checkpoint: Of such a model.
        batches: Images and labels.
    """
    saved = torch.load(checkpoint, map_location=model.device, weights_only=True)
    model.load_state_dict(saved["state_dict"])
    if torch.finfo(next(model.parameters()).dtype).bits < 32:
        model.float()
    model.eval()
    labels, probabilities = [], []
    for number, (images, truth) in enumerate(batches):
        probabilities.append(model.predict_step((images, truth), number).cpu().numpy())
        labels.append(truth.cpu().numpy())
    return np.concatenate(labels), np.concatenate(probabilities)
