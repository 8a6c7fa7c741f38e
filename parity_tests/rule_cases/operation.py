"""Functions on tensors: each generation's own spelling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from parity_tests.rule_cases.case import Case

_IMAGE = (4, 3, 5)
_MEAN = np.array([0.485, 0.456, 0.406, 0.1, 0.7], "float32")
_DEVIATION = np.array([0.229, 0.224, 0.225, 0.3, 0.9], "float32")
_WHOLE = np.random.RandomState(8).normal(0, 1, _IMAGE).astype("float32")
_FLOAT32 = "a constant is cast through float32 (D28)"
_Function = Callable[[Any, list[Any]], Any]


def _functions(keras: Any) -> Any:
    """tensorflow for tf_keras, keras.ops for Keras 3."""
    if keras.__name__ == "keras":
        return keras.ops
    import tensorflow

    return tensorflow


def _mean_like(tensor: Any) -> np.ndarray:
    """As a first argument it has to be of the tensor's dtype."""
    return _MEAN.astype(getattr(tensor.dtype, "name", tensor.dtype))


_ACTIVATIONS = ("relu", "relu6", "sigmoid", "tanh", "silu", "softplus", "softsign", "elu", "selu", "gelu")
# Alike in both.
_BOTH: dict[str, _Function] = {
    "x+1": lambda ops, x: x[0] + 1.5,
    "1+x": lambda ops, x: 1 + x[0],
    "x-y": lambda ops, x: x[0] - x[1],
    "2-x": lambda ops, x: 2 - x[0],
    "x*y": lambda ops, x: x[0] * x[1],
    "x_div_3": lambda ops, x: x[0] / 3,
    "3_div_x": lambda ops, x: 3.0 / (x[0] * x[0] + 1.0),
    "x_div_y": lambda ops, x: x[0] / (x[1] * x[1] + 1.0),
    "x**2": lambda ops, x: x[0] ** 2,
    "-x": lambda ops, x: -x[0],
    "maximum": lambda ops, x: ops.maximum(x[0], x[1]),
    "maximum0.1": lambda ops, x: ops.maximum(x[0], 0.1),
    "minimum": lambda ops, x: ops.minimum(x[0], 0.1),
    "[1]": lambda ops, x: x[0][:, 1],
    "[part]": lambda ops, x: x[0][:, 1:3, ::2, -1],
    "[last]": lambda ops, x: x[0][:, :, :, 1:],
    "[..., part]": lambda ops, x: x[0][..., 1:3],
    "[..., 1]": lambda ops, x: x[0][..., 1],
    "[1, ...]": lambda ops, x: x[0][:, 1, ...],
    "[..., backwards]": lambda ops, x: x[0][..., ::-1],
    "[backwards]": lambda ops, x: x[0][:, ::-1, 1, ::-1],
    "[part backwards]": lambda ops, x: x[0][:, -1:0:-2, :, 3:0:-1],
    "of a backwards sum": lambda ops, x: (x[0] + x[1])[..., ::-1] * 2.0,
    "stack": lambda ops, x: ops.stack([x[0], x[1]], axis=-1),
    "stack1": lambda ops, x: ops.stack([x[0], x[1], x[0]], axis=1),
    "stack of channels": lambda ops, x: ops.stack([x[0][..., place] for place in (2, 1, 0)], axis=-1),
    "x-mean_div_std": lambda ops, x: (x[0] / 255.0 - _MEAN) / _DEVIATION,
    "array-x": lambda ops, x: ops.subtract(_mean_like(x[0]), x[0]),
    "array_div_x": lambda ops, x: ops.divide(_mean_like(x[0]), x[0] * x[0] + 1.0),
    "array by row": lambda ops, x: x[0] * _MEAN[:3, None],
    "array of an example": lambda ops, x: x[0] * _WHOLE,
    "array broadcasts": lambda ops, x: x[0][:, :1] + _WHOLE,
    "array of one": lambda ops, x: x[0] * _MEAN[:1],
    "maximum of array": lambda ops, x: ops.maximum(x[0], _MEAN),
    "reshape": lambda ops, x: ops.reshape(x[0], (-1, 12, 5)),
    "flat": lambda ops, x: ops.reshape(x[0], (-1, 60)),
    "transpose": lambda ops, x: ops.transpose(x[0], [0, 3, 1, 2]),
    "expand_dims": lambda ops, x: ops.expand_dims(x[0], 2),
    "squeeze": lambda ops, x: ops.squeeze(ops.expand_dims(x[0], 2), 2),
    "square": lambda ops, x: ops.square(x[0]),
    "sqrt": lambda ops, x: ops.sqrt(ops.square(x[0]) + 1.0),
    "exp": lambda ops, x: ops.exp(x[0]),
    "abs": lambda ops, x: ops.abs(x[0]),
    # A function or an operator of what an operator gives.
    "mean of two": lambda ops, x: (x[0] + x[1]) / 2,
    "half of a sum": lambda ops, x: 0.5 * (x[0] + x[1]),
    "1-(x+y)": lambda ops, x: 1 - (x[0] + x[1]),
    "1_div_(x+y)": lambda ops, x: 1 / (x[0] * x[0] + x[1] * x[1] + 1.0),
    "-(x-y)": lambda ops, x: -(x[0] - x[1]),
    "(x-y)**2": lambda ops, x: (x[0] - x[1]) ** 2,
    "x-(y-x)": lambda ops, x: x[0] - (x[1] - x[0]),
    "x_div_(x_div_y)": lambda ops, x: x[0] / (x[0] / (x[1] * x[1] + 1.0) + 9.0),
    "abs of difference": lambda ops, x: ops.abs(x[0] - x[1]),
    "square of difference": lambda ops, x: ops.square(x[0] - x[1]),
    "exp of product": lambda ops, x: ops.exp(ops.tanh(x[0] * x[1])),
    "relu of difference": lambda ops, x: ops.maximum(x[0] - x[1], 0.0),
    "part of sum": lambda ops, x: (x[0] + x[1])[:, :2],
    "transposed sum": lambda ops, x: ops.transpose(x[0] + x[1], [0, 2, 1, 3]),
    "sum of sums": lambda ops, x: (x[0] + x[1]) + (x[0] - x[1]) * 0.3,
}
# Of what a layer gives: takes the layers, the functions, the tensors.
_LAYERS: dict[str, Callable[[Any, Any, list[Any]], Any]] = {
    "part of Add": lambda layers, ops, x: layers.Add()(x)[:, :2],
    "1-Add of three": lambda layers, ops, x: 1 - layers.Add()([*x, x[0]]),
    "abs of Subtract": lambda layers, ops, x: ops.abs(layers.Subtract()(x)),
    "sqrt of Multiply": lambda layers, ops, x: ops.sqrt(ops.abs(layers.Multiply()(x)) + 1.0),
    "Average*1": lambda layers, ops, x: layers.Average()(x) * 1.0,
    "Average*2-1": lambda layers, ops, x: layers.Average()(x) * 2.0 - 1.0,
    "exp of Maximum": lambda layers, ops, x: ops.exp(layers.Maximum()(x)),
    "Activation of Average": lambda layers, ops, x: layers.Activation("tanh")(layers.Average()(x)),
}
_TENSORFLOW: dict[str, _Function] = {
    "x*row": lambda tf, x: x[0] * [[[0.5, 1.5, 2.5, 3.5, 4.5]]],
    "x_div_list": lambda tf, x: x[0] / [0.5, 1.5, 2.5, 3.5, 4.5],
    "x+list": lambda tf, x: x[0] + [0.5, 1.5, 2.5, 3.5, 4.5],
    "list-x": lambda tf, x: [0.5, 1.5, 2.5, 3.5, 4.5] - x[0],
    **{
        name: lambda tf, x, name=name: getattr(tf.nn, name)(x[0])  # type: ignore[misc]
        for name in (
            "relu",
            "relu6",
            "sigmoid",
            "tanh",
            "silu",
            "softplus",
            "softsign",
            "elu",
            "selu",
            "gelu",
        )
    },
    "bias_add": lambda tf, x: tf.nn.bias_add(x[0], _MEAN),
    "bias_add-channels_first": lambda tf, x: tf.nn.bias_add(x[0], _MEAN[:4], "NCHW"),
    "gelu-tanh": lambda tf, x: tf.nn.gelu(x[0], approximate=True),
    "leaky_relu": lambda tf, x: tf.nn.leaky_relu(x[0]),
    "leaky_relu0.1": lambda tf, x: tf.nn.leaky_relu(x[0], alpha=0.1),
    "softmax": lambda tf, x: tf.nn.softmax(x[0]),
    "softmax1": lambda tf, x: tf.nn.softmax(x[0], axis=1),
    "log_softmax": lambda tf, x: tf.nn.log_softmax(x[0]),
    "reduce_mean": lambda tf, x: tf.reduce_mean(x[0], axis=[1, 2]),
    "reduce_mean-keep": lambda tf, x: tf.reduce_mean(x[0], axis=[1, 2], keepdims=True),
    "reduce_sum": lambda tf, x: tf.reduce_sum(x[0], -1),
    "reduce_max": lambda tf, x: tf.reduce_max(x[0], [1, 3]),
    "concat": lambda tf, x: tf.concat([x[0], x[1]], axis=-1),
    "concat-same": lambda tf, x: tf.concat([x[0], x[0], x[1]], 1),
    "clip": lambda tf, x: tf.clip_by_value(x[0], -0.5, 1.0),
    "pad": lambda tf, x: tf.pad(x[0], [[0, 0], [1, 2], [0, 1], [0, 0]]),
    "pad-value": lambda tf, x: tf.pad(x[0], [[0, 0], [1, 2], [0, 1], [2, 0]], constant_values=1.5),
    "l2_normalize": lambda tf, x: tf.math.l2_normalize(x[0], axis=-1),
    "add": lambda tf, x: tf.math.add(x[0], x[1]),
    "reduce_mean of sum": lambda tf, x: tf.reduce_mean(x[0] + x[1], axis=[1, 2]),
    "clipped difference": lambda tf, x: tf.clip_by_value(x[0] - x[1], -0.5, 1.0),
    "cast": lambda tf, x: tf.cast(x[0], x[0].dtype) * 2.0,
    "log": lambda tf, x: tf.math.log(tf.square(x[0]) + 1.0),
    "rsqrt": lambda tf, x: tf.math.rsqrt(tf.square(x[0]) + 1.0),
}
_KERAS3: dict[str, _Function] = {
    "x+array": lambda ops, x: x[0] + np.array([0.5, 1.5, 2.5, 3.5, 4.5]),
    **{
        name: lambda ops, x, name=name: getattr(ops, name)(x[0])  # type: ignore[misc]
        for name in (
            "relu",
            "relu6",
            "sigmoid",
            "tanh",
            "silu",
            "softplus",
            "softsign",
            "elu",
            "selu",
            "gelu",
        )
    },
    **{
        name: lambda ops, x, name=name: getattr(ops, name)(x[0])  # type: ignore[misc]
        for name in ("leaky_relu", "hard_sigmoid", "hard_silu", "softmax", "log_softmax", "normalize")
    },
    "rsqrt": lambda ops, x: ops.rsqrt(ops.square(x[0]) + 1.0),
    "gelu-exact": lambda ops, x: ops.gelu(x[0], approximate=False),
    "softmax1": lambda ops, x: ops.softmax(x[0], axis=1),
    "mean": lambda ops, x: ops.mean(x[0], axis=[1, 2]),
    "mean-keep": lambda ops, x: ops.mean(x[0], axis=[1, 2], keepdims=True),
    "sum": lambda ops, x: ops.sum(x[0], -1),
    "max": lambda ops, x: ops.max(x[0], [1, 3]),
    "min": lambda ops, x: ops.min(x[0], 1),
    "concatenate": lambda ops, x: ops.concatenate([x[0], x[1]], axis=-1),
    "concatenate-same": lambda ops, x: ops.concatenate([x[0], x[0], x[1]], 1),
    "clip": lambda ops, x: ops.clip(x[0], -0.5, 1.0),
    "log": lambda ops, x: ops.log(ops.square(x[0]) + 1.0),
    "mean of sum": lambda ops, x: ops.mean(x[0] + x[1], axis=[1, 2]),
    "clipped difference": lambda ops, x: ops.clip(x[0] - x[1], -0.5, 1.0),
    "divide": lambda ops, x: ops.divide(x[0], 3.0),
}


def _case(name: str, function: _Function | None, generation: str) -> Case:
    def build(keras: Any, inputs: list[Any]) -> Any:
        # A tensor that no function takes would be no input of the model's.
        if function is None:
            return _LAYERS[name](keras.layers, _functions(keras), inputs)
        return function(_functions(keras), inputs)

    layer = "operation" if generation == "keras3" else "TFOpLambda"
    return Case(layer, (_IMAGE,) * 2, {}, build, name, (generation,), keras_rounds=_FLOAT32)


_APPLICATIONS = (
    *("convnext", "densenet", "efficientnet", "efficientnet_v2", "inception_resnet_v2", "inception_v3"),
    *("mobilenet", "mobilenet_v2", "mobilenet_v3", "nasnet", "resnet", "resnet50", "resnet_v2", "vgg16"),
    *("vgg19", "xception"),
)


def _preprocessing(name: str, generation: str) -> Case:
    """preprocess_input in a model, as Keras's guide has it."""

    def build(keras: Any, inputs: list[Any]) -> Any:
        # Some leave images as they are.
        return 2.0 * getattr(keras.applications, name).preprocess_input(inputs[0])

    layer = "operation" if generation == "keras3" else "TFOpLambda"
    says = f"{name}.preprocess_input"
    rounds = _FLOAT32
    return Case(layer, ((6, 5, 3),), {}, build, says, (generation,), "levels", keras_rounds=rounds)


CASES = [
    _case(name, function, generation)
    for generation, own in (("tf2.4", _TENSORFLOW), ("keras3", _KERAS3))
    for name, function in {**_BOTH, **own, **dict.fromkeys(_LAYERS)}.items()
]
CASES += [_preprocessing(name, generation) for name in _APPLICATIONS for generation in ("tf2.4", "keras3")]
