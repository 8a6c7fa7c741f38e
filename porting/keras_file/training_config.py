"""The compile() part of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from porting.keras_file.problems import mapping, text


@dataclass(frozen=True)
class TrainingConfig:
    """What `model.compile` was given, as JSON has it.

    Attributes:
        optimizer: Its class; None where the model was compiled without.
        optimizer_config: Its arguments, schedules as objects.
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
    if isinstance(optimizer, dict):
        config = mapping(optimizer.get("config"), "the optimizer's config")
        optimizer = optimizer.get("class_name")
    if optimizer is not None:
        # "keras.optimizers>Adam" and "Custom>Adam" are registered names.
        optimizer = text(optimizer, "the optimizer").rpartition(">")[2]
    return TrainingConfig(
        optimizer,
        config,
        *(stated.get(key) for key in ("loss", "metrics", "weighted_metrics", "loss_weights")),
    )
