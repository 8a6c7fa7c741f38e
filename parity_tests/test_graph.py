"""The layer graph of configs that no live Keras writes any more, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from porting.graph import Graph, TensorRef
from porting.keras_file.model_config import graph_of
from porting.keras_file.problems import KerasFileError
from porting.output_shapes import output_shapes


def _layer(kind: str, name: str, *calls: Any, **config: Any) -> dict[str, Any]:
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": list(calls),
    }


def _node(*inputs: tuple[str, int]) -> list[Any]:
    """A call as Keras 1 and 2 write it."""
    return [[layer, call, 0, {}] for layer, call in inputs]


def _functional(*layers: dict[str, Any], inputs: Any, outputs: Any, name: str = "model") -> dict[str, Any]:
    config = {"name": name, "layers": list(layers), "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Model", "config": config}


def _inner(kind: str) -> dict[str, Any]:
    """A model of one Dense: with an input as a Model has it, or a Sequential without."""
    dense = _layer("Dense", "dense", units=4)
    if kind == "Sequential":
        return {"class_name": "Sequential", "config": [dense]}
    dense["inbound_nodes"] = [_node(("inside", 0))]
    return _functional(
        _layer("InputLayer", "inside", batch_input_shape=[None, 4]),
        dense,
        inputs=[["inside", 0, 0]],
        outputs=[["dense", 0, 0]],
    )


@pytest.mark.parametrize(("kind", "first"), [("Model", 1), ("Sequential", 0)])
def test_calls_of_an_inner_model_count_from_its_first_node(kind: str, first: int) -> None:
    """Keras 2: a model's own making is node 0, but for a Sequential without an input shape."""
    inner = _inner(kind) | {"name": "inner", "inbound_nodes": [_node(("x", 0)), _node(("inner", first))]}
    stated = _functional(
        _layer("InputLayer", "x", batch_input_shape=[None, 4]),
        inner,
        _layer("Add", "add", _node(("inner", first), ("inner", first + 1))),
        inputs=[["x", 0, 0]],
        outputs=[["add", 0, 0]],
    )
    graph = graph_of(stated, "2.4.0")
    assert [(call.layer, call.number) for call in graph.calls] == [("inner", 0), ("inner", 1), ("add", 0)]
    assert graph.calls_of("inner")[1].inputs == (TensorRef("inner", 0),)
    assert graph.calls_of("add")[0].inputs == (TensorRef("inner", 0), TensorRef("inner", 1))
    assert output_shapes(graph)["add",] == (None, 4)


def test_keywords_that_are_tensors_are_inputs() -> None:
    """Keras 2 writes them into the keywords of the first argument."""
    stated = _functional(
        _layer("InputLayer", "query"),
        _layer("InputLayer", "value"),
        _layer(
            "MultiHeadAttention", "attention", [["query", 0, 0, {"value": ["value", 0, 0], "causal": False}]]
        ),
        inputs=[["query", 0, 0], ["value", 0, 0]],
        outputs=[["attention", 0, 0]],
    )
    (call,) = graph_of(stated, "2.8.0").calls
    assert call.arguments == (TensorRef("query"),)
    assert call.keywords == {"value": TensorRef("value"), "causal": False}
    assert call.inputs == (TensorRef("query"), TensorRef("value"))


def test_constants_stay_arguments() -> None:
    node = [["x", 0, 0, {"y": 2.0}]]
    stated = _functional(
        _layer("InputLayer", "x"),
        _layer("TFOpLambda", "tf.math.multiply", node),
        _layer(
            "TFOpLambda", "tf.math.add", [["_CONSTANT_VALUE", -1, 3.0, {"y": ["tf.math.multiply", 0, 0]}]]
        ),
        inputs=["x", 0, 0],
        outputs=["tf.math.add", 0, 0],
    )
    multiply, add = graph_of(stated, "2.8.0").calls
    assert multiply.keywords == {"y": 2.0}
    assert add.arguments == (3.0,)
    assert add.inputs == (TensorRef("tf.math.multiply"),)


@pytest.mark.parametrize(
    "config",
    [
        {"batch_input_shape": [None, 7]},
        {"batch_input_shape": [8, 7]},
    ],
)
def test_sequential_gets_the_input_it_does_not_state(config: dict[str, Any]) -> None:
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 2, **config}}
    graph = graph_of({"class_name": "Sequential", "config": [dense]}, "2.0.4")
    assert [layer.name for layer in graph.layers] == ["dense_input", "dense"]
    assert not graph.layers[0].stated
    assert graph.layers[1].stated
    assert output_shapes(graph)["dense_input",] == tuple(config["batch_input_shape"])


def test_sequential_never_built_has_no_shapes() -> None:
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}
    graph = graph_of({"class_name": "Sequential", "config": {"name": "s", "layers": [dense]}}, "2.4.0")
    assert output_shapes(graph) == {("dense_input",): None, ("dense",): None}


def test_build_input_shape_is_the_inputs() -> None:
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": 2}}
    config = {"name": "s", "layers": [dense], "build_input_shape": [None, 6, 5]}
    graph = graph_of({"class_name": "Sequential", "config": config}, "2.4.0")
    assert output_shapes(graph)["dense",] == (None, 6, 2)


def test_layers_of_one_name_in_two_models_are_apart() -> None:
    stated = {"class_name": "Sequential", "config": [_inner("Model"), _inner("Sequential")]}
    stated["config"][0]["config"]["name"] = "one"
    stated["config"][1]["name"] = "two"
    paths = [path for path, layer in graph_of(stated, "2.0.0").walk() if layer.class_name == "Dense"]
    assert paths == [("one", "dense"), ("two", "dense")]


def test_class_of_another_package_is_not_keras_own() -> None:
    for more, package in (
        ({"class_name": "Addons>GroupNormalization"}, "Addons"),
        (
            {"class_name": "QDense", "module": "qkeras.qlayers", "registered_name": "qkeras>QDense"},
            "qkeras.qlayers",
        ),
        ({"class_name": "Mine", "module": None, "registered_name": "pkg>Mine"}, "pkg"),
        ({"class_name": "Dense", "module": "keras.layers", "registered_name": None}, None),
    ):
        layer = {"config": {"name": "layer"}, **more}
        graph = graph_of({"class_name": "Sequential", "config": [layer]}, "3.1.0")
        assert graph.layers[1].package == package
        assert ">" not in graph.layers[1].class_name


def test_long_chain_is_ordered() -> None:
    """Deeper than Python's recursion goes."""
    count = 5000
    layers = [_layer("InputLayer", "0", batch_input_shape=[None, 3])]
    layers += [_layer("Dense", str(place), _node((str(place - 1), 0)), units=3) for place in range(1, count)]
    stated = _functional(*reversed(layers), inputs=[["0", 0, 0]], outputs=[[str(count - 1), 0, 0]])
    graph: Graph = graph_of(stated, "2.4.0")
    assert [call.layer for call in graph.calls] == [str(place) for place in range(1, count)]
    assert output_shapes(graph)[str(count - 1),] == (None, 3)


def test_models_that_call_each_other_twice_end() -> None:
    """Forty deep, each calling the next one twice: 2**40 calls of the innermost."""
    stated = _inner("Model")
    for depth in range(40):
        inner = stated | {
            "name": f"model_{depth}",
            "inbound_nodes": [_node(("x", 0)), _node((f"model_{depth}", 1))],
        }
        stated = _functional(
            _layer("InputLayer", "x", batch_input_shape=[None, 4]),
            inner,
            inputs=[["x", 0, 0]],
            outputs=[[f"model_{depth}", 2, 0]],
        )
    graph = graph_of(json.loads(json.dumps(stated)), "2.4.0")
    assert output_shapes(graph)["model_39",] == (None, 4)


def test_layer_without_a_way_to_the_output_keeps_its_place() -> None:
    stated = _functional(
        _layer("InputLayer", "x"),
        _layer("Dense", "used", _node(("x", 0)), units=1),
        _layer("Dense", "unused", _node(("x", 0)), units=1),
        inputs=[["x", 0, 0]],
        outputs=[["used", 0, 0]],
    )
    graph = graph_of(stated, "2.4.0")
    assert [layer.name for layer in graph.layers] == ["x", "used", "unused"]
    assert [call.layer for call in graph.calls] == ["used"]


def test_unknown_input_is_refused() -> None:
    stated = _functional(
        _layer("InputLayer", "x"),
        _layer("Dense", "dense", _node(("y", 0)), units=1),
        inputs=[["x", 0, 0]],
        outputs=[["dense", 0, 0]],
    )
    with pytest.raises(
        KerasFileError, match='call 0 of layer "dense" takes "y", which is no layer of the model'
    ):
        graph_of(stated, "2.4.0")
