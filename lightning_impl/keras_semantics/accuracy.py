"""Keras's "accuracy": what it means follows from the shapes of labels and outputs.

Source: keras 3.15 trainers/compile_utils.py, `get_metric`, and metrics/accuracy_metrics.py; the same in
tf_keras 2.21 engine/compile_utils.py, `_get_metric_object`, and utils/metrics_utils.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lightning_impl.keras_semantics.losses import targets_of
from parity_common.command_errors import UserError

BINARY, CATEGORICAL, SPARSE = "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"
BY_SHAPES = "accuracy"
KINDS = (BY_SHAPES, BINARY, CATEGORICAL, SPARSE)


class Accuracy:
    """The share of a batch that is right.

    Args:
        ends_in: "softmax" or "sigmoid" where the net gives what stands before it: Keras's metrics see what
            comes behind it. None: they see what the net gives; logits are compared with 0.5, too.
        kind: One of KINDS. "accuracy" is binary of a single output, sparse categorical of class numbers, and
            categorical of targets `(N, outputs)`.
        threshold: Of binary accuracy: outputs above it mean 1.

    Raises:
        UserError: Another kind.
    """

    def __init__(
        self, ends_in: str | None = None, kind: str = BY_SHAPES, threshold: float | None = None
    ) -> None:
        if kind not in KINDS:
            raise UserError(f"no rule for the accuracy {kind}: one of {', '.join(KINDS)}")
        self.ends_in = ends_in
        self.kind = kind
        self.threshold = 0.5 if threshold is None else threshold

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The share that is right, float32 or the outputs' wider dtype.

        Args:
            outputs: What the net gives, `(N, outputs)`.
            labels: Class numbers `(N,)` or `(N, 1)`, or targets `(N, outputs)`.
        """
        return accuracy_of(given_by_keras(outputs, self.ends_in), labels, self.kind, self.threshold)


def given_by_keras(outputs: Tensor, ends_in: str | None) -> Tensor:
    """What the Keras model gives for outputs `(N, outputs)` that stand before its last activation."""
    if ends_in == "softmax":
        return outputs.softmax(1)
    return outputs.sigmoid() if ends_in == "sigmoid" else outputs


def accuracy_of(outputs: Tensor, labels: Tensor, kind: str = "accuracy", threshold: float = 0.5) -> Tensor:
    """Keras's accuracy of what its model gives.

    Args:
        outputs: `(N, outputs)`.
        labels: Class numbers `(N,)` or `(N, 1)`, or targets `(N, outputs)`.
        kind: "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy", or "accuracy", which
            one of them is by the shapes.
        threshold: Of the binary one.
    """
    numbers = labels.dim() == 1 or (labels.shape[-1] == 1 and outputs.shape[1] > 1)
    if kind == "binary_accuracy" or (kind == "accuracy" and outputs.shape[1] == 1):
        right = (outputs > threshold) == targets_of(outputs, labels)
    elif kind == "sparse_categorical_accuracy" or (numbers and outputs.shape[1] > 1):
        right = outputs.argmax(1) == labels.reshape(len(outputs))
    else:
        right = outputs.argmax(1) == labels.reshape(outputs.shape).argmax(1)
    # A mean of half precision would be that of a few hundred examples.
    return right.to(torch.promote_types(outputs.dtype, torch.float32)).mean()


def accuracy_of_logits(outputs: Tensor, labels: Tensor) -> Tensor:
    """Keras's accuracy of logits: of a softmax behind them, of a single one of a sigmoid."""
    # The largest logit is the largest probability: there is no need of a softmax.
    return accuracy_of(outputs.sigmoid() if outputs.shape[1] == 1 else outputs, labels)
