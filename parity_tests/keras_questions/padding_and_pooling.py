"""Drawn features through Keras's layers with padding "same", and their gradients."""

from __future__ import annotations

import json

import numpy as np


def draw_features(case: dict) -> np.ndarray:
    """Float64 `(2, *sizes, 3)`; with "ties" whole numbers, few in each channel of each image."""
    random = np.random.RandomState(5)
    shape = (2, *case["sizes"], 3)
    # Below zero, so that padding with zeros shows in every mean and every largest value.
    if not case.get("ties"):
        return random.normal(-3, 1, shape)
    channels = np.arange(6.0).reshape(2, *[1] * len(case["sizes"]), 3)
    return random.randint(-6, 1, shape) + channels - 10


def draw_weights(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Float64 weights of these shapes."""
    random = np.random.RandomState(6)
    return [random.normal(0, 1, shape) for shape in shapes]


def draw_cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """What the outputs are weighed with before they are summed, float64."""
    return np.random.RandomState(7).normal(0, 1, shape)


def run(keras, cases, dtype):
    """Runs every case.

    Args:
        keras: The package.
        cases: JSON, a list of dicts: `name`, `class`, `arguments` of the layer, `sizes` and `ties`.
        dtype: float32 or float64.

    Returns:
        "case|output", "case|features" (a gradient, as are the rest), "case|w0", "case|w1".
    """
    import tensorflow

    dtype, answer = str(dtype), {}
    for case in json.loads(str(cases)):
        layer = getattr(keras.layers, case["class"])(**case["arguments"], dtype=dtype)
        features = tensorflow.constant(draw_features(case), dtype)
        layer.build(features.shape)
        layer.set_weights(draw_weights([tuple(weight.shape) for weight in layer.weights]))
        weights = (
            layer.weights if keras.__name__ == "tf_keras" else [weight.value for weight in layer.weights]
        )
        with tensorflow.GradientTape() as tape:
            tape.watch(features)
            output = layer(features)
            total = tensorflow.reduce_sum(output * tensorflow.constant(draw_cotangent(output.shape), dtype))
        gradients = tape.gradient(total, [features, *weights])
        names = ["features"] + [f"w{place}" for place in range(len(weights))]
        answer[f"{case['name']}|output"] = np.asarray(output)
        answer.update(
            {
                f"{case['name']}|{name}": np.asarray(value)
                for name, value in zip(names, gradients, strict=True)
            }
        )
    return answer
