"""Keras's losses: means over the batch, of logits or of clipped probabilities.

Keras computes a crossentropy from logits where it is told to, and also where the model's last operation is
a softmax or sigmoid: it then looks behind it (keras 3.15 backend/tensorflow/nn.py and tf_keras 2.21
backend.py, `_get_logits`), whichever of the two it is: a categorical crossentropy of sigmoids is that of the
logits, too. Behind any other operation it sees probabilities, which it clips (D05).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError, did_you_mean

# keras 3.15 losses/__init__.py and tf_keras 2.21 losses.py: other names of the same, in small letters.
ALIASES = {
    "bce": "binary_crossentropy",
    "cosine_proximity": "cosine_similarity",
    "huber_loss": "huber",
    "kld": "kl_divergence",
    "kldivergence": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}

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
        _check_smoothing(label_smoothing)
        self.label_smoothing = label_smoothing
        self.clips = clips
        self.sparse = sparse

    def __call__(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The batch's loss.

        Args:
            outputs: Logits, or probabilities where it clips, `(N, classes)`.
            labels: As `classes_of` takes them.
            weights: `(N,)`, or None.
        """
        logarithms = self._logarithms(outputs)
        classes = classes_of(outputs, labels)
        if classes.dim() == 1:
            each = nn.functional.nll_loss(logarithms, classes, reduction="none")
        else:
            each = -(classes * logarithms).sum(1)
        if self.label_smoothing:
            each = each * (1 - self.label_smoothing) - logarithms.mean(1) * self.label_smoothing
        return mean_over_batch(each, weights)

    def _logarithms(self, outputs: Tensor) -> Tensor:
        if not self.clips:
            return outputs.log_softmax(1)
        if self.sparse:
            return outputs.clamp(EPSILON, 1 - EPSILON).log().log_softmax(1)
        return (outputs / outputs.sum(1, keepdim=True)).clamp(EPSILON, 1 - EPSILON).log()


class BinaryCrossentropy:
    """Crossentropy of each output with a target of its own, a mean over the outputs of an example.

    Args:
        profile: The Keras generation; where it clips, tf_keras adds the epsilon once more in the logarithm.
        label_smoothing: Of the targets: y (1 - s) + s / 2; in [0, 1].
        clips: Takes probabilities and clips them, instead of logits.

    Raises:
        UserError: A smoothing out of range.
    """

    def __init__(self, profile: Profile, label_smoothing: float = 0.0, clips: bool = False) -> None:
        _check_smoothing(label_smoothing)
        self.label_smoothing = label_smoothing
        self.clips = clips
        self.added = EPSILON if profile.binary_logarithm_adds_epsilon else 0.0

    def __call__(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The batch's loss.

        Args:
            outputs: Logits, or probabilities where it clips, `(N, outputs)`.
            labels: As `targets_of` takes them.
            weights: `(N,)`, or None.
        """
        targets = targets_of(outputs, labels)
        if self.label_smoothing:
            targets = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        if self.clips:
            inside = outputs.clamp(EPSILON, 1 - EPSILON)
            # Written 1 - p + epsilon in tf_keras; TensorFlow's graphs add the two constants first.
            rest = ((1 + self.added) - inside).log()
            each = -(targets * (inside + self.added).log() + (1 - targets) * rest)
        else:
            each = nn.functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none")
        return mean_over_batch(each.mean(1), weights)


class MeanSquaredError:
    """The mean over outputs of (output - target)^2.

    Args:
        ends_in: "softmax" or "sigmoid", which then comes before it; None takes outputs as they are.
    """

    def __init__(self, ends_in: str | None = None) -> None:
        self.ends_in = ends_in

    def __call__(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The batch's loss: outputs `(N, outputs)`, labels as `targets_of` takes them, weights `(N,)`."""
        if self.ends_in == "softmax":
            outputs = outputs.softmax(1)
        elif self.ends_in == "sigmoid":
            outputs = outputs.sigmoid()
        return mean_over_batch((outputs - targets_of(outputs, labels)).square().mean(1), weights)


def classes_of(outputs: Tensor, labels: Tensor) -> Tensor:
    """Class numbers `(N,)` int64, or the targets of a crossentropy as the outputs `(N, classes)`.

    Args:
        outputs: `(N, classes)`.
        labels: Class numbers `(N,)` or `(N, 1)`; or one-hot or other targets `(N, classes)`.
    """
    if labels.dim() == 2 and labels.shape == outputs.shape and outputs.shape[1] > 1:
        return labels.to(outputs.dtype)
    return labels.reshape(len(outputs)).long()


def targets_of(outputs: Tensor, labels: Tensor) -> Tensor:
    """Targets of the outputs' shape `(N, outputs)`.

    Args:
        outputs: `(N, outputs)`.
        labels: Class numbers `(N,)`, which become one-hot; of one output 0 and 1; or targets `(N, outputs)`.
    """
    if labels.dim() == 1 and outputs.shape[1] > 1:
        labels = nn.functional.one_hot(labels.long(), outputs.shape[1])
    return labels.to(outputs.dtype).reshape(outputs.shape)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise UserError(f"label_smoothing is {label_smoothing}: give a share between 0 and 1")


def loss_from_keras_config(
    name: str, config: Mapping[str, Any], ends_in: str | None, profile: Profile
) -> Loss:
    """The loss that `compile(loss=...)` means for a model that ends in a certain activation.

    Args:
        name: In snake case, such as "categorical_crossentropy", or one of ALIASES.
        config: What the loss object's get_config gives; {} for a name alone.
        ends_in: "softmax" or "sigmoid", where the port gives what stands before it; None where the port gives
            what the model gives.
        profile: The Keras generation.

    Raises:
        UserError: A loss without a rule, or an argument that has none.
    """
    name = ALIASES.get(name, name)
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
        clips = not from_logits and ends_in is None
        return CategoricalCrossentropy(smoothing, clips, name.startswith("sparse"))
    if name == "binary_crossentropy":
        return BinaryCrossentropy(profile, smoothing, not from_logits and ends_in is None)
    if name == "mean_squared_error" and not smoothing:
        return MeanSquaredError(ends_in)
    known = [
        "binary_crossentropy",
        "categorical_crossentropy",
        "mean_squared_error",
        "sparse_categorical_crossentropy",
    ]
    raise UserError(f"no rule for the loss {name}{did_you_mean(name, known)}: there are {', '.join(known)}")
