"""Layers that take several tensors: same shapes and broadcast ones, orders of axes that differ."""

from __future__ import annotations

import importlib
from typing import Any

from parity_tests.rule_cases.case import Case

_IMAGE = (4, 3, 5)
_ELEMENTWISE = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")


def _scaled_sum(keras: Any, inputs: list[Any]) -> Any:
    """A layer that keras.applications keeps to itself."""
    module = importlib.import_module(f"{keras.__name__}.src.applications.inception_resnet_v2")
    return module.CustomScaleLayer(0.17, name="layer")(inputs)


CASES = [Case(layer, sizes) for layer in _ELEMENTWISE for sizes in ((_IMAGE, _IMAGE), ((6,), (6,)))]
CASES += [Case(layer, (_IMAGE,) * 3) for layer in _ELEMENTWISE if layer != "Subtract"]
CASES += [
    Case(layer, sizes)
    for layer in ("Add", "Multiply")
    for sizes in ((_IMAGE, (1, 1, 5)), ((1, 1, 5), _IMAGE))
]
CASES += [Case("Concatenate", (_IMAGE, _IMAGE), {"axis": axis}) for axis in (-1, 1, 2, 3)]
CASES += [
    Case("CustomScaleLayer", sizes, build=_scaled_sum, says="InceptionResNetV2")
    for sizes in ((_IMAGE, _IMAGE), (_IMAGE, (1, 1, 5)), ((6,), (6,)))
]
CASES += [
    Case("Concatenate", ((4, 3, 2), (4, 3, 5), (4, 3, 1))),
    Case("Concatenate", ((6,), (3,))),
    Case("Concatenate", ((6, 2), (6, 3))),
    Case("Dot", ((6,), (6,)), {"axes": 1}),
    Case("Dot", ((6,), (6,)), {"axes": -1, "normalize": True}),
    Case("Dot", ((4, 6), (3, 6)), {"axes": 2}),
    Case("Dot", ((4, 6), (6, 3)), {"axes": (2, 1)}),
    Case("Dot", ((4, 6), (4, 3)), {"axes": 1, "normalize": True}),
    Case("Dot", ((4, 6), (6,)), {"axes": (2, 1)}),
]


def _excitation(keras: Any, inputs: list[Any]) -> Any:
    layers = keras.layers
    squeezed = layers.GlobalAveragePooling2D()(inputs[0])
    gate = layers.Dense(5, activation="sigmoid")(layers.Reshape((1, 1, 5))(squeezed))
    return layers.Multiply()([inputs[0], gate])


def _orders(keras: Any, inputs: list[Any]) -> Any:
    """A dense layer on an image leaves Keras's order of axes behind."""
    layers = keras.layers
    return layers.Add()([layers.Dense(5)(inputs[0]), layers.Conv2D(5, 1)(inputs[0])])


CASES += [
    Case("Multiply", (_IMAGE,), build=_excitation, says="squeeze and excitation"),
    Case("Add", (_IMAGE,), build=_orders, says="dense and convolution"),
]
