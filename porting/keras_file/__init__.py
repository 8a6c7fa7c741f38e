"""Reads Keras model files without Keras: what is in them, and nothing of it executed."""

from porting.keras_file.keras_file import KerasFile
from porting.keras_file.optimizer_state import OptimizerState, WeightKey
from porting.keras_file.problems import KerasFileError
from porting.keras_file.read import read_keras_file
from porting.keras_file.stored import StoredArray
from porting.keras_file.training_config import TrainingConfig

__all__ = [
    "KerasFile",
    "KerasFileError",
    "OptimizerState",
    "StoredArray",
    "TrainingConfig",
    "WeightKey",
    "read_keras_file",
]
