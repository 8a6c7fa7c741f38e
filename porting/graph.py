"""A Keras model as a graph of layers and their calls, in Keras's words.

A layer is a thing with weights; a call is one use of it on tensors. A shared layer has several calls, a
layer of a Sequential exactly one. A model inside a model is a layer that holds a graph of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LayerPath = tuple[str, ...]
"""The names from the outermost model's layer inwards: ("backbone", "conv1"). A name may hold a slash."""


@dataclass(frozen=True)
class TensorRef:
    """A tensor, by the call that makes it.

    Attributes:
        layer: The layer's name, in the same graph.
        call: Which of the layer's calls, from 0.
        output: Which of the call's outputs, from 0.
    """

    layer: str
    call: int = 0
    output: int = 0


@dataclass(frozen=True)
class Layer:
    """One layer, as its config states it.

    Attributes:
        name: Unique in its graph.
        class_name: Keras's, without the package it is registered under: "Conv2D".
        package: Of a class that is not Keras's own, such as "qkeras.qlayers"; None of Keras's. An .h5 file
            tells it only of registered classes.
        config: The layer's config as JSON has it. Not to be changed.
        graph: The graph inside, when the layer is a model.
        wrapped: The layer inside, when the layer is a wrapper (TimeDistributed, Bidirectional).
        build_shape: The input shape that the layer was built for, the batch axis None, where it is stated.
        stated: False for the InputLayer of a Sequential that states none: it is ours.
    """

    name: str
    class_name: str
    package: str | None
    config: Mapping[str, Any]
    graph: Graph | None = None
    wrapped: Layer | None = None
    build_shape: tuple[int | None, ...] | None = None
    stated: bool = True

    @property
    def trainable(self) -> bool:
        """Whether it is trained: false when it was frozen."""
        return self.config.get("trainable") is not False


@dataclass(frozen=True)
class Call:
    """One use of a layer.

    Attributes:
        layer: The layer's name.
        number: Which of the layer's calls, from 0.
        arguments: Positional arguments. A tensor is a TensorRef, in lists and dicts as Keras had them.
        keywords: Keyword arguments, the same way.
        inputs: Every TensorRef of both, in order.
    """

    layer: str
    number: int
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    inputs: tuple[TensorRef, ...]


@dataclass(frozen=True)
class Graph:
    """A model.

    Attributes:
        name: The model's.
        class_name: "Sequential", "Functional", "Model", or the name of a class of the author's own.
        layers: In the order of Keras's `model.layers`, which is that of the weights.
        calls: In the order in which Keras runs them. An InputLayer is not called.
        inputs: In the order in which the model takes them.
        outputs: In the order in which it gives them.
    """

    name: str
    class_name: str
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    inputs: tuple[TensorRef, ...]
    outputs: tuple[TensorRef, ...]

    def layer(self, name: str) -> Layer:
        """The layer of that name.

        Raises:
            KeyError: There is none.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def calls_of(self, name: str) -> tuple[Call, ...]:
        """A layer's calls by their numbers."""
        return tuple(
            sorted((call for call in self.calls if call.layer == name), key=lambda call: call.number)
        )

    def walk(self) -> Iterator[tuple[LayerPath, Layer]]:
        """Every layer, those of inner models after the layer that holds them. A wrapper counts as one."""
        for layer in self.layers:
            yield (layer.name,), layer
            if layer.graph is not None:
                for path, inner in layer.graph.walk():
                    yield (layer.name, *path), inner


def tensors_in(structure: Any) -> Iterator[TensorRef]:
    """The tensors in nested lists, tuples and dicts, in Keras's order of flattening."""
    if isinstance(structure, TensorRef):
        yield structure
    elif isinstance(structure, list | tuple):
        for item in structure:
            yield from tensors_in(item)
    elif isinstance(structure, Mapping):
        # tf.nest and keras.tree flatten a dict by its sorted keys.
        for key in sorted(structure):
            yield from tensors_in(structure[key])
