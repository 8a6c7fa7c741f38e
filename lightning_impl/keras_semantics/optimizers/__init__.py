"""Keras's optimizers as torch optimizers, exact for each generation.

All nine share `KerasOptimizer`: Keras's arguments, defaults, slot names and rounding, and a state that goes
over from Keras and back. benchmarks/optimizers.py times them against torch's own.
"""

from lightning_impl.keras_semantics.optimizers.adadelta import KerasAdadelta
from lightning_impl.keras_semantics.optimizers.adagrad import KerasAdagrad
from lightning_impl.keras_semantics.optimizers.adam import KerasAdam, KerasAdamW
from lightning_impl.keras_semantics.optimizers.adamax import KerasAdamax
from lightning_impl.keras_semantics.optimizers.arguments import EPSILON
from lightning_impl.keras_semantics.optimizers.base import KerasOptimizer
from lightning_impl.keras_semantics.optimizers.build import OPTIMIZERS, build_optimizer, from_keras_config
from lightning_impl.keras_semantics.optimizers.ftrl import KerasFtrl
from lightning_impl.keras_semantics.optimizers.nadam import KerasNadam
from lightning_impl.keras_semantics.optimizers.rmsprop import KerasRMSprop
from lightning_impl.keras_semantics.optimizers.sgd import KerasSGD

__all__ = [
    "EPSILON",
    "OPTIMIZERS",
    "KerasAdadelta",
    "KerasAdagrad",
    "KerasAdam",
    "KerasAdamW",
    "KerasAdamax",
    "KerasFtrl",
    "KerasNadam",
    "KerasOptimizer",
    "KerasRMSprop",
    "KerasSGD",
    "build_optimizer",
    "from_keras_config",
]
