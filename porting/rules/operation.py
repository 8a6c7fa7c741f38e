"""Functions called on tensors where a model was built: `x * 2`, `tf.nn.relu6(x)`, `ops.mean(x, axis=1)`.

Keras 2 files have them as layers TFOpLambda and SlicingOpLambda (tf_keras 2.21 layers/core/tf_op_layer.py),
Keras 3 files as operations (keras 3.15 ops/numpy.py and ops/nn.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from porting.keras_file.model_config import OPERATION
from porting.keras_file.problems import shown
from porting.rules.operation_arguments import Operation
from porting.rules.operation_arithmetic import ARITHMETIC
from porting.rules.operation_functions import FUNCTIONS
from porting.rules.operation_shapes import SHAPES
from porting.rules.piece import Piece, Refused, Site

_NAMED: dict[str, Callable[[Operation], Piece]] = {**ARITHMETIC, **FUNCTIONS, **SHAPES}
"""By TensorFlow's name without its module, and by Keras 3's in small letters."""

_MODULES = ("compat.v1.", "__operators__.", "keras.activations.", "keras.backend.", "math.", "nn.", "linalg.")
KERAS3_NAMES = (
    *("Add", "Subtract", "Multiply", "TrueDivide", "Divide", "Maximum", "Minimum", "Power", "Negative"),
    *("Square", "Sqrt", "Exp", "Log", "Absolute", "Clip", "Mean", "Sum", "Max", "Min", "Concatenate"),
    *("Reshape", "Transpose", "ExpandDims", "Squeeze", "GetItem", "Relu", "Relu6", "Sigmoid", "Tanh", "Silu"),
    *("Softmax", "LogSoftmax", "Softplus", "Softsign", "Elu", "Selu", "Gelu", "LeakyRelu", "HardSigmoid"),
    *("HardSilu", "Normalize", "Stack", "Rsqrt"),
)


def tensorflow_function(site: Site) -> Piece:
    """TFOpLambda and SlicingOpLambda: a function of TensorFlow's, by its name."""
    function = site.stated("function")
    name = function if isinstance(function, str) else ""
    for module in _MODULES:
        name = name.removeprefix(module)
    if name not in _NAMED:
        raise Refused(f"there is no rule for tf.{shown(function)}")
    return _NAMED[name](Operation.of(site))


def keras3_operation(site: Site) -> Piece:
    """An operation of Keras 3."""
    name = site.layer.class_name.removeprefix(OPERATION)
    return _NAMED[re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()](Operation.of(site))


RULES: dict[str, Callable[[Site], Piece]] = {
    "TFOpLambda": tensorflow_function,
    "SlicingOpLambda": tensorflow_function,
    **{f"{OPERATION}{name}": keras3_operation for name in KERAS3_NAMES},
}
