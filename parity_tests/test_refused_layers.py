"""What a model is refused for: each layer that has no rule, and none for what another one gives."""

from __future__ import annotations

import re

import pytest

from lightning_impl.keras_semantics.profile import PROFILES
from porting.graph import Call, Graph, Layer, TensorRef
from porting.program import program_of
from porting.refusals import CannotConvert

WINDOW = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "same"}


def chain(*layers: Layer, name: str = "model") -> Graph:
    """Layers one behind the other, on images of 8 x 8."""
    first = Layer("images", "InputLayer", None, {"batch_shape": [None, 8, 8, 3]})
    refs = [TensorRef(layer.name) for layer in (first, *layers)]
    calls = tuple(Call(layer.name, 0, (ref,), {}, (ref,)) for layer, ref in zip(layers, refs, strict=False))
    return Graph(name, "Functional", (first, *layers), calls, (refs[0],), (refs[-1],))


def refusal_of(graph: Graph) -> str:
    with pytest.raises(CannotConvert) as raised:
        program_of(graph, PROFILES["keras3"])
    return str(raised.value)


def convolution(name: str, **changed: object) -> Layer:
    return Layer(name, "Conv2D", None, {"filters": 3, "activation": "relu", **WINDOW, **changed})


def test_one_missing_rule_is_told_as_one() -> None:
    """What a layer without a rule gives is not known: that the layers behind it fail says nothing of them."""
    mystery = Layer("mystery", "Mystery", None, {})
    # A dense layer's output is no image: what is wrong of the convolutions is the missing rule's.
    flat = Layer("flat", "GlobalAveragePooling2D", None, {})
    behind = [Layer(f"pool{number}", "MaxPooling2D", None, {"pool_size": [2, 2]}) for number in range(30)]
    said = refusal_of(chain(convolution("stem"), mystery, flat, *behind))
    assert said.startswith(
        '1 of the model\'s layers cannot be converted: Mystery "mystery": there is no rule'
    )
    assert "30 behind them not judged" in said


def test_one_missing_rule_before_a_model_inside_is_told_as_one() -> None:
    inner = chain(Layer("flat", "Flatten", None, {}), convolution("conv"), name="inner")
    mystery = Layer("mystery", "Mystery", None, {})
    said = refusal_of(
        chain(mystery, Layer("inner", "Functional", None, {}, graph=inner), convolution("last"))
    )
    assert re.match(r'1 of the model\'s layers cannot be converted: Mystery "mystery"', said)


def test_every_missing_rule_is_told() -> None:
    layers = [
        Layer(name, kind, None, {}) for name, kind in (("a", "Mystery"), ("b", "Other"), ("c", "Mystery"))
    ]
    said = refusal_of(chain(*layers, convolution("last", activation="strange")))
    # An activation without a rule is told behind a layer that nobody knows, too.
    assert said.startswith("4 of the model's layers")
    for name in ('"a", "c"', '"b"', '"last"'):
        assert name in said


def test_a_layer_behind_one_whose_shape_is_known_is_judged() -> None:
    """A convolution that is refused gives a known shape."""
    said = refusal_of(
        chain(convolution("first", activation="strange"), convolution("last", activation="odd"))
    )
    assert said.startswith("2 of the model's layers")
