"""Keras's training callbacks, for Lightning."""

from lightning_impl.keras_semantics.callbacks.lightning_callbacks import (
    KerasEarlyStopping,
    KerasLearningRateScheduler,
    KerasReduceLROnPlateau,
    KerasTerminateOnNaN,
    callbacks_from_keras,
)
from lightning_impl.keras_semantics.callbacks.rules import PlateauRule, StoppingRule

__all__ = [
    "KerasEarlyStopping",
    "KerasLearningRateScheduler",
    "KerasReduceLROnPlateau",
    "KerasTerminateOnNaN",
    "PlateauRule",
    "StoppingRule",
    "callbacks_from_keras",
]
