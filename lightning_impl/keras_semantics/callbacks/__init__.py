"""Keras's training callbacks, for Lightning."""

from lightning_impl.keras_semantics.callbacks.lightning_callbacks import (
    FinalizeVariables,
    KerasEarlyStopping,
    KerasLearningRateScheduler,
    KerasModelCheckpoint,
    KerasReduceLROnPlateau,
    KerasTerminateOnNaN,
    callbacks_from_keras,
)
from lightning_impl.keras_semantics.callbacks.rules import CheckpointRule, PlateauRule, StoppingRule

__all__ = [
    "CheckpointRule",
    "FinalizeVariables",
    "KerasEarlyStopping",
    "KerasLearningRateScheduler",
    "KerasModelCheckpoint",
    "KerasReduceLROnPlateau",
    "KerasTerminateOnNaN",
    "PlateauRule",
    "StoppingRule",
    "callbacks_from_keras",
]
