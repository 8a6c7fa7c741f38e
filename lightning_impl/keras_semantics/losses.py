"""Keras's losses: means over the batch, of logits or of clipped probabilities.

Keras computes a crossentropy from logits where it is told to, and also where the model's last operation is
the softmax or sigmoid itself: it then looks behind it (keras 3.15 backend/tensorflow/nn.py and tf_keras 2.21
backend.py, `_get_logits`). Behind any other operation it sees probabilities, which it clips (D05).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from parity_common.command_errors import UserError, did_you_mean

# keras.backend.epsilon(): probabilities are clipped to EPSILON ... 1 - EPSILON.
EPSILON = 1e-7

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def mean_over_batch(each: Tensor, weights: Tensor | None) -> Tensor:
    """Keras's reduction "sum_over_batch_size": sum(w l) / N, whatever the weights add up to (D19).

    Args:
        each: A loss an example, `(N,)`.
        weights: `(N,)`, or None.
    """
    return (each if weights is None else each * weights).sum() / len(each)


class CategoricalCrossentropy:
    """Crossentropy of one class in several; `sparse_categorical_crossentropy` is the same of labels.

    Args:
        label_smoothing: Of the targets: y (1 - s) + s / classes; in [0, 1].
        clips: Takes probabilities and clips them, instead of logits.
        sparse: Clipped probabilities are scaled to a sum of 1 after the clipping, as Keras has it for labels,
            and not before.

    Raises:
        UserError: A smoothing out of range.
    """

    def __init__(self, label_smoothing: float = 0.0, clips: bool = False, sparse: bool = False) -> None:
        if not 0 <= label_smoothing <= 1:
            raise UserError(f"label_smoothing is {label_smoothing}: give a share between 0 and 1")
        self.label_smoothing = label_smoothing
        self.clips = clips
        self.sparse = sparse

    def __call__(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The batch's loss.

        Args:
            outputs: Logits, or probabilities where it clips, `(N, classes)`.
            labels: `(N,)` int64.
            weights: `(N,)`, or None.
        """
        logarithms = self._logarithms(outputs)
        each = nn.functional.nll_loss(logarithms, labels, reduction="none")
        if self.label_smoothing:
            each = each * (1 - self.label_smoothing) - logarithms.mean(1) * self.label_smoothing
        return mean_over_batch(each, weights)

    def _logarithms(self, outputs: Tensor) -> Tensor:
        if not self.clips:
            return outputs.log_softmax(1)
        if self.sparse:
            return outputs.clamp(EPSILON, 1 - EPSILON).log().log_softmax(1)
        return (outputs / outputs.sum(1, keepdim=True)).clamp(EPSILON, 1 - EPSILON).log()


def mean_squared_error(outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean over classes of (output - one-hot target)^2; outputs `(N, classes)`, labels `(N,)`."""
    targets = nn.functional.one_hot(labels, outputs.shape[1]).to(outputs.dtype)
    return mean_over_batch((outputs - targets).square().mean(1), weights)


def binary_crossentropy(outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Crossentropy of one logit an example, `(N, 1)`, with labels 0 and 1, `(N,)`."""
    targets = labels.to(outputs.dtype).reshape(-1, 1)
    each = nn.functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
    return mean_over_batch(each.mean(1), weights)


def loss_from_keras_config(name: str, config: Mapping[str, Any], ends_in: str | None) -> Loss:
    """The loss that `compile(loss=...)` means for a model that ends in a certain activation.

    Args:
        name: In snake case, such as "categorical_crossentropy".
        config: What the loss object's get_config gives; {} for a name alone.
        ends_in: "softmax" or "sigmoid", where the port gives what stands before it; None where the port gives
            what the model gives.

    Raises:
        UserError: A loss without a rule, or an argument that has none.
    """
    config = {
        key: value for key, value in config.items() if key not in ("name", "reduction", "dtype", "axis")
    }
    from_logits = bool(config.pop("from_logits", False))
    smoothing = float(config.pop("label_smoothing", 0.0) or 0.0)
    if config.pop("ignore_class", None) is not None:
        raise UserError(f"{name}: ignore_class has no rule yet: leave such examples out")
    if config:
        raise UserError(f"{name}: no rule for its argument {next(iter(config))}")
    if name in ("categorical_crossentropy", "sparse_categorical_crossentropy"):
        clips = not from_logits and ends_in != "softmax"
        return CategoricalCrossentropy(smoothing, clips, name.startswith("sparse"))
    if name == "binary_crossentropy" and (from_logits or ends_in == "sigmoid") and not smoothing:
        return binary_crossentropy
    if name == "mean_squared_error" and ends_in is None:
        return mean_squared_error
    known = ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"]
    raise UserError(
        f"no rule for the loss {name} of a model that ends in {ends_in}{did_you_mean(name, known)}"
    )
