"""Activations, as layers and as arguments of other layers, on ranks 2 to 4."""

from __future__ import annotations

from functools import partial
from typing import Any

from parity_tests.rule_cases.case import Case

_FLOAT32 = "its constants are cast through float32 (D14, D28)"
_IN_BOTH = (
    *("linear", "relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "swish", "gelu", "mish"),
    *("hard_sigmoid", "exponential", "softmax"),
)
_IN_KERAS3 = (
    *("relu6", "silu", "hard_silu", "hard_swish", "leaky_relu", "log_softmax", "celu", "log_sigmoid"),
    *("hard_tanh", "hard_shrink", "soft_shrink", "tanh_shrink"),
)
_ROUNDED = ("gelu", "leaky_relu", "hard_sigmoid", "selu", "hard_silu", "hard_swish", "exponential")
_IMAGE = (4, 3, 5)

CASES = [
    Case(
        "Activation",
        (shape,),
        {"activation": name},
        generations=("tf2.4", "keras3") if name in _IN_BOTH else ("keras3",),
        keras_rounds=_FLOAT32 if name in _ROUNDED else "",
    )
    for name in _IN_BOTH + _IN_KERAS3
    for shape in ((_IMAGE, (7,)) if name.endswith("softmax") else (_IMAGE,))
]
CASES += [
    Case("ReLU", (_IMAGE,), arguments, keras_rounds=_FLOAT32)
    for arguments in (
        {},
        {"max_value": 6.0},
        {"max_value": 1.5},
        {"negative_slope": 0.2},
        {"threshold": 0.7},
        {"max_value": 2.0, "threshold": 0.5},
        {"max_value": 2.0, "negative_slope": 0.1},
        {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.4},
    )
]
CASES += [
    Case("LeakyReLU", (_IMAGE,), keras_rounds=_FLOAT32),
    Case("LeakyReLU", (_IMAGE,), {"alpha": 0.1}, generations=("tf2.4",), keras_rounds=_FLOAT32),
    Case("LeakyReLU", (_IMAGE,), {"negative_slope": 0.1}, generations=("keras3",), keras_rounds=_FLOAT32),
    Case("ELU", (_IMAGE,), keras_rounds=_FLOAT32),
    Case("ELU", (_IMAGE,), {"alpha": 0.4}, keras_rounds=_FLOAT32),
    Case("ThresholdedReLU", (_IMAGE,), {"theta": 0.8}, generations=("tf2.4",), keras_rounds=_FLOAT32),
    Case("ThresholdedReLU", (_IMAGE,), generations=("tf2.4",)),
    *(Case("Softmax", (_IMAGE,), {"axis": axis}) for axis in (-1, 1, [1, 2], [-1, 2], [3])),
    Case("Softmax", ((7,),)),
    Case("PReLU", (_IMAGE,)),
    Case("PReLU", (_IMAGE,), {"shared_axes": [1, 2]}),
    Case("PReLU", (_IMAGE,), {"shared_axes": [1, 2, 3]}),
    Case("PReLU", (_IMAGE,), {"shared_axes": [1]}),
    Case("PReLU", ((6, 4),), {"shared_axes": [1]}),
    Case("PReLU", ((7,),)),
]


def _of_tensorflow(keras: Any, inputs: list[Any], name: str) -> Any:
    """A function of TensorFlow's own: Keras 3 writes its name in TensorFlow's source."""
    import tensorflow

    return keras.layers.Dense(4, activation=getattr(tensorflow.nn, name), name="layer")(inputs[0])


CASES += [
    Case(
        "Dense",
        ((7,),),
        build=partial(_of_tensorflow, name=name),
        says=f"tf.nn.{name}",
        generations=("tf2.4", "keras3") if name in ("relu", "elu", "softmax", "tanh") else ("keras3",),
        keras_rounds=_FLOAT32 if name == "leaky_relu" else "",
    )
    for name in ("relu", "relu6", "elu", "selu", "tanh", "silu", "leaky_relu", "softmax", "log_softmax")
]
_DENSE = [
    Case("Dense", ((6,),), {"units": 4, "activation": name})
    for name in ("relu", "tanh", "softmax", "sigmoid")
]
CASES += [
    *_DENSE,
    Case("Dense", ((6,),), {"units": 4, "use_bias": False}),
    Case("Dense", ((3, 6),), {"units": 4}),
    Case("Dense", ((3, 2, 6),), {"units": 4, "activation": "softmax"}),
    Case(
        "Dense",
        ((6,),),
        build=lambda keras, inputs: keras.layers.Dense(4, activation=keras.layers.LeakyReLU())(inputs[0]),
        says="activation=LeakyReLU",
        keras_rounds=_FLOAT32,
    ),
]
