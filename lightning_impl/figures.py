"""A trained classifier's figures over labelled images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.module import Classifier

TOP = 5


@dataclass(frozen=True)
class Figures:
    """Over all images, each counted once.

    Attributes:
        counts: `(classes, classes)` images by true class (row) and predicted class (column).
        loss: Mean crossentropy.
        accuracy: Share of images whose likeliest class is right.
        top_5_accuracy: Share whose class is among the five likeliest; None where there are five or fewer.
    """

    counts: NDArray[np.int64]
    loss: float
    accuracy: float
    top_5_accuracy: float | None


@torch.inference_mode()
def figures_of(classifier: Classifier, batches: Iterable[tuple[Tensor, Tensor]]) -> Figures:
    """The figures, as a fit's validation has them.

    Args:
        classifier: In evaluation mode.
        batches: Images `(B, H, W, 3)` and labels `(B,)` on its device; one or more.
    """
    classes = len(classifier.class_names)
    counts = torch.zeros(classes * classes, dtype=torch.int64)
    loss, in_top = 0.0, 0
    for images, labels in batches:
        logits = classifier(images)
        pairs = labels * classes + logits.argmax(1)
        counts += torch.bincount(pairs.cpu(), minlength=len(counts))
        # The loss is the batch's mean, and the last batch may be smaller.
        loss += float(classifier.loss(logits, labels, None)) * len(labels)
        likeliest = logits.sort(dim=1, descending=True, stable=True).indices[:, :TOP]
        in_top += int((likeliest == labels[:, None]).sum())
    images_seen = int(counts.sum())
    matrix = counts.view(classes, classes).numpy()
    return Figures(
        matrix,
        loss / images_seen,
        int(np.trace(matrix)) / images_seen,
        in_top / images_seen if classes > TOP else None,
    )
