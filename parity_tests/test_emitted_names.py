"""Layers of any name: the source that is written of them runs, and gives what they give."""

from __future__ import annotations

import keyword

import pytest
import torch
from torch import nn

from lightning_impl.keras_semantics.profile import PROFILES
from porting.convert.conversion import checked_net
from porting.emit.model_source import model_source
from porting.graph import Call, Graph, Layer, TensorRef
from porting.modules import make_module
from porting.program import program_of

# What model.py, torch and Python call by these names.
NAMES = (
    *("probabilities", "forward", "train", "eval", "training", "x", "y", "images", "self", "torch", "nn"),
    *("F", "math", "Tensor", "OrderedDict", "Sequence", "super", "tuple", "range", "len", "None", "class"),
    *("lambda", "parameters", "state_dict", "children", "__init__", "_modules", "__class__", "layer"),
    *("block1", "Flatten", "Permute", "1", "1_x", "é", "a/b", "a-b", "self.net", "", "net", "loss", "device"),
)


def graph_of(names: list[str], branches: bool) -> Graph:
    """A softmax of dense layers, behind one another or on two inputs of those names."""
    dense = {"units": 4, "activation": "relu", "use_bias": True}
    names = list(dict.fromkeys(names))
    if not branches:
        first, *others = names
        layers = [Layer(first, "InputLayer", None, {"batch_shape": [None, 4]})]
        layers += [Layer(name, "Dense", None, {**dense, "activation": "softmax"}) for name in others]
        refs = [TensorRef(layer.name) for layer in layers]
        calls = [Call(name, 0, (ref,), {}, (ref,)) for name, ref in zip(others, refs, strict=False)]
        return Graph("model", "Functional", tuple(layers), tuple(calls), (refs[0],), (refs[-1],))
    one, two, left, right, end, *_ = names
    layers = [Layer(name, "InputLayer", None, {"batch_shape": [None, 4]}) for name in (one, two)]
    layers += [Layer(name, "Dense", None, dense) for name in (left, right)]
    layers += [
        Layer("sum of both", "Add", None, {}),
        Layer(end, "Activation", None, {"activation": "softmax"}),
    ]
    refs = [TensorRef(layer.name) for layer in layers]
    both = (refs[2], refs[3])
    calls = [
        Call(left, 0, (refs[0],), {}, (refs[0],)),
        Call(right, 0, (refs[1],), {}, (refs[1],)),
        Call("sum of both", 0, (list(both),), {}, both),
        Call(end, 0, (refs[4],), {}, (refs[4],)),
    ]
    return Graph("model", "Functional", tuple(layers), tuple(calls), (refs[0], refs[1]), (refs[-1],))


def check(graph: Graph) -> str:
    """The source, which is seen to give what the layers give."""
    torch.manual_seed(0)
    program = program_of(graph, PROFILES["keras3"])
    tensors = {}
    for statement in program.walk():
        assert statement.piece is not None
        for step in statement.piece.steps:
            state = make_module(step.make).state_dict()
            if state and not step.suffix:
                tensors[statement.path] = {name: nn.Parameter(value) for name, value in state.items()}
    source = model_source(program, "model", "a test")
    checked_net(source.text, source, tensors, program)
    return source.text


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_of_any_name(name: str) -> None:
    for graph in (
        graph_of(["given", name, "last"], branches=False),
        graph_of(["given", "first", name], branches=False),
        graph_of([name, "first", "last"], branches=False),
        graph_of([name, "other", "left", "right", "end"], branches=True),
        graph_of(["one", "two", name, "right", "end"], branches=True),
        graph_of(["one", "two", "left", "right", name], branches=True),
    ):
        check(graph)


def test_all_of_them_at_once() -> None:
    for start in range(0, len(NAMES) - 5, 2):
        check(graph_of(list(NAMES[start : start + 5]), branches=True))
    check(graph_of(["given", *NAMES, *keyword.kwlist], branches=False))
