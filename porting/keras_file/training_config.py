"""The compile() part of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from porting.keras_file.problems import mapping, text

# By any word that compile() takes for them (keras 3.15 optimizers/__init__.py, `get`).
_NAMES = {
    name.lower(): name
    for name in (
        *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "Muon"),
        *("Nadam", "RMSprop", "SGD"),
    )
}
# Where a LossScaleOptimizer has its optimizer, since TF 2.4 and before.
_INNER = ("inner_optimizer", "optimizer")


@dataclass(frozen=True)
class TrainingConfig:
    """What `model.compile` was given, as JSON has it.

    Attributes:
        optimizer: Its class; None where the model was compiled without.
        optimizer_config: Its arguments, schedules as objects; {} of one that was given by its name alone.
        loss: A name, an object with "class_name" and "config", or one of these for each output.
        metrics: The same, in lists.
        weighted_metrics: The same.
        loss_weights: One for each output, or None.
    """

    optimizer: str | None
    optimizer_config: Mapping[str, Any]
    loss: Any
    metrics: Any
    weighted_metrics: Any
    loss_weights: Any


def training_config_of(stated: Mapping[str, Any]) -> TrainingConfig:
    """From an .h5 file's "training_config" or a .keras file's "compile_config".

    Raises:
        KerasFileError: The optimizer is neither a name nor an object.
    """
    optimizer = stated.get("optimizer_config", stated.get("optimizer"))
    config: Mapping[str, Any] = {}
    while isinstance(optimizer, dict):
        config = mapping(optimizer.get("config"), "the optimizer's config")
        inner = next((config[key] for key in _INNER if isinstance(config.get(key), dict)), None)
        is_scaling = str(optimizer.get("class_name")).startswith("LossScaleOptimizer")
        # That of mixed_float16 scales gradients up and down again; the optimizer stands inside it.
        optimizer = inner if is_scaling and inner is not None else optimizer.get("class_name")
    if optimizer is not None:
        # "keras.optimizers>Adam" and "Custom>Adam" are registered names; a word may be in any letters.
        name = text(optimizer, "the optimizer").rpartition(">")[2]
        optimizer = _NAMES.get(name.lower(), name)
    return TrainingConfig(
        optimizer,
        config,
        *(stated.get(key) for key in ("loss", "metrics", "weighted_metrics", "loss_weights")),
    )
