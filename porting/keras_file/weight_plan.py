"""Which weights a layer has, by its class and config, in the order of Keras's `layer.weights`.

Keras stores a layer's arrays without names (Keras 3) or in one list for a whole inner model (Keras 1 and 2),
so the names must be known beforehand. Sources: the `build` of each class, keras 3.15 and tf_keras 2.21; names
are Keras 3's. A class that is not listed here takes the arrays as the file has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from porting.graph import Graph, Layer, LayerPath


@dataclass(frozen=True)
class Weight:
    """A weight a layer class can have.

    Attributes:
        name: Keras 3's: "kernel"; of a layer that wraps layers with their place: "forward_layer/kernel".
        when: The config's key that must be true for it to exist; None: always.
        trainable: Whether Keras trains it while the layer is not frozen.
        part: The inner object that holds it in a file of Keras 3, such as "cell"; "" for the layer itself.
    """

    name: str
    when: str | None = None
    trainable: bool = True
    part: str = ""

    @property
    def short_name(self) -> str:
        """The last part of the name, as a variable is called."""
        return self.name.rpartition("/")[2]


_BIAS = Weight("bias", "use_bias")
_KERNEL = (Weight("kernel"), _BIAS)
_SEPARABLE = (Weight("depthwise_kernel"), Weight("pointwise_kernel"), _BIAS)
_RECURRENT = tuple(
    replace(weight, part="cell") for weight in (Weight("kernel"), Weight("recurrent_kernel"), _BIAS)
)
_SCALED = (Weight("gamma", "scale"), Weight("beta", "center"))
_STATISTICS = (
    Weight("moving_mean", trainable=False),
    Weight("moving_variance", trainable=False),
)
_ATTENTION = tuple(
    Weight(f"{name}/{weight.name}", weight.when, part=f"{part}_dense")
    for name, part in (("query", "query"), ("key", "key"), ("value", "value"), ("attention_output", "output"))
    for weight in _KERNEL
)

WEIGHTS: dict[str, tuple[Weight, ...]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _KERNEL),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _KERNEL),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D", "Dense"), _KERNEL),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _SEPARABLE),
    "BatchNormalization": _SCALED + _STATISTICS,
    "LayerNormalization": _SCALED,
    "GroupNormalization": _SCALED,
    "Embedding": (Weight("embeddings"),),
    "PReLU": (Weight("alpha"),),
    # keras.applications' ConvNeXt.
    "LayerScale": (Weight("gamma"),),
    "Normalization": tuple(Weight(name, trainable=False) for name in ("mean", "variance", "count")),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "ConvLSTM2D"), _RECURRENT),
    "MultiHeadAttention": _ATTENTION,
}

OTHER_NAMES = {
    ("DepthwiseConv2D", "depthwise_kernel"): "kernel",
    ("DepthwiseConv1D", "depthwise_kernel"): "kernel",
}
"""(class, name before Keras 3) to Keras 3's name, where they differ."""

_RANDOM_STATE = ("seed_generator", "random_generator", "generator", "rng", "state_var")


def is_random_state(names: Iterable[str]) -> bool:
    """Whether an array is a layer's random state, no weight, by the names of the objects that hold it.

    TF 2.5 calls them "_rng/_state_var", later ones "_random_generator/_generator", Keras 3 "seed_generator".
    """
    return any(name.removeprefix("_") in _RANDOM_STATE for name in names)


def weights_of(layer: Layer) -> tuple[Weight, ...] | None:
    """A layer's weights in Keras's order, of a wrapper those inside; None when the class is not known."""
    if layer.package is not None:
        return None
    if layer.wrapped is not None:
        parts = ("forward_layer", "backward_layer") if layer.class_name == "Bidirectional" else ("layer",)
        inner = _inside(layer.wrapped)
        if inner is None:
            return None
        return tuple(
            replace(
                weight,
                name=f"{part}/{weight.name}",
                part=f"{part}/{weight.part}".rstrip("/"),
                trainable=weight.trainable and layer.wrapped.trainable,
            )
            for part in parts
            for weight in inner
        )
    if layer.class_name not in WEIGHTS or layer.config.get("renorm"):
        return None
    if _has_weights(layer.config.get("activation")):
        return None
    # keras 3.15 and tf_keras 2.21 layers/preprocessing/normalization.py: given numbers are no weights.
    if layer.class_name == "Normalization" and layer.config.get("mean") is not None:
        return ()
    return tuple(
        weight
        for weight in WEIGHTS[layer.class_name]
        if weight.when is None or layer.config.get(weight.when, True)
    )


def _has_weights(activation: Any) -> bool:
    """Whether an activation is a layer with weights of its own, which lie among those of the layer."""
    name = activation.get("class_name") if isinstance(activation, Mapping) else None
    return isinstance(name, str) and name.rpartition(">")[2] == "PReLU"


def _inside(wrapped: Layer) -> tuple[Weight, ...] | None:
    # A model in a wrapper would need its own layers' places: its arrays keep the names of the file.
    return None if wrapped.graph is not None else weights_of(wrapped)


def stored_order(layer: Layer) -> Iterator[tuple[LayerPath, Weight | None]]:
    """A layer's weights in the order of its one list in an .h5 file: the trained ones first, of an inner
    model through all its layers, then the others.

    A layer of a class that is not known comes as (path, None).
    """
    trained, fixed = _split(layer)
    yield from trained
    yield from fixed


def trained_order(graph: Graph) -> list[tuple[LayerPath, Weight | None]]:
    """What the optimizer trains, in its order."""
    return [each for layer in graph.layers for each in _split(layer)[0]]


_Planned = list[tuple[LayerPath, Weight | None]]


def _split(layer: Layer) -> tuple[_Planned, _Planned]:
    here = (layer.name,)
    if layer.graph is None:
        weights = weights_of(layer)
        if weights is None:
            return ([(here, None)], []) if layer.trainable else ([], [(here, None)])
        trained: _Planned = [(here, weight) for weight in weights if weight.trainable]
        fixed: _Planned = [(here, weight) for weight in weights if not weight.trainable]
    else:
        trained, fixed = [], []
        for inner in layer.graph.layers:
            for mine, its in zip((trained, fixed), _split(inner), strict=True):
                mine += [((*here, *path), weight) for path, weight in its]
        if not layer.trainable:
            # A frozen model lists its layers whole, one after the other.
            order = {inner.name: place for place, inner in enumerate(layer.graph.layers)}
            return [], sorted(trained + fixed, key=lambda each: order[each[0][1]])
    return (trained, fixed) if layer.trainable else ([], trained + fixed)
