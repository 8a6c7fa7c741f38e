"""Output shapes of layers, from their configs: the batch axis first and None, other unknown sizes None.

Source: `compute_output_shape` of each class, keras 3.15 and tf_keras 2.21. A class that is not listed has no
shape, and neither has what comes after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from porting.graph import Graph, Layer, LayerPath, TensorRef

Shape = tuple[int | None, ...]
_Rule = Callable[[Mapping[str, Any], list[Shape]], Shape]


def output_shapes(graph: Graph) -> dict[LayerPath, Shape | None]:
    """The output shape of every layer's first call; of a model with several outputs None.

    A shape that a damaged config does not give is None too: shapes are for reading, the weights decide.
    """
    found: dict[LayerPath, Shape | None] = {}
    _graph_shapes(graph, [None] * len(graph.inputs), (), found)
    return found


def _graph_shapes(
    graph: Graph, given: list[Shape | None], path: LayerPath, found: dict[LayerPath, Shape | None]
) -> list[Shape | None]:
    """The shapes of a model's outputs; `given` are those of its inputs in the model around it."""
    made: dict[TensorRef, Shape | None] = {}
    models: dict[LayerPath, tuple[list[Shape | None], list[Shape | None]]] = {}
    layers = {layer.name: layer for layer in graph.layers}
    for place, ref in enumerate(graph.inputs):
        layer = layers[ref.layer]
        stated = stated_shape(layer.config)
        made[ref] = (given[place] if place < len(given) else None) or stated
        found[(*path, layer.name)] = made[ref]
    for call in graph.calls:
        layer, here = layers[call.layer], (*path, call.layer)
        inputs = [made.get(ref) for ref in call.inputs]
        if layer.graph is not None:
            # Once only: models in models that each call the next one twice would never end.
            if here not in models:
                models[here] = inputs, _graph_shapes(layer.graph, inputs, here, found)
            outputs = models[here][1] if models[here][0] == inputs else [None] * len(layer.graph.outputs)
        else:
            outputs = [layer_shape(layer, inputs)]
        found.setdefault(here, outputs[0] if len(outputs) == 1 else None)
        for number, shape in enumerate(outputs):
            made[TensorRef(call.layer, call.number, number)] = shape
    return [made.get(ref) for ref in graph.outputs]


def stated_shape(config: Mapping[str, Any]) -> Shape | None:
    """The shape that an InputLayer's config states; None where it states none."""
    stated = config.get("batch_shape", config.get("batch_input_shape"))
    is_shape = isinstance(stated, list) and all(size is None or type(size) is int for size in stated)
    return tuple(stated) if is_shape else None


def shape_text(shape: Shape) -> str:
    """`(N, 32, 62, 62)`; sizes that the file leaves open as "?"."""
    sides = ["N", *("?" if size is None else str(size) for size in shape[1:])]
    return f"({', '.join(sides)})"


def layer_shape(layer: Layer, inputs: Sequence[Shape | None]) -> Shape | None:
    """The output shape of a layer on tensors of these shapes; None where it is not known."""
    known = [shape for shape in inputs if shape is not None]
    if len(known) < len(inputs) or layer.package is not None or not known:
        return None
    try:
        if layer.wrapped is not None:
            return _wrapped_shape(layer, layer.wrapped, known[0])
        rule = _RULES.get(layer.class_name)
        return None if rule is None else rule(layer.config, known)
    # A config of wrong types or missing keys gives no shape.
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ZeroDivisionError, OverflowError):
        return None


def _wrapped_shape(layer: Layer, inner: Layer, shape: Shape) -> Shape | None:
    if layer.class_name == "TimeDistributed":
        step = layer_shape(inner, [(shape[0], *shape[2:])])
        return None if step is None else (shape[0], shape[1], *step[1:])
    out = layer_shape(inner, [shape])
    if layer.class_name != "Bidirectional" or out is None or layer.config.get("merge_mode", "concat") is None:
        return None
    doubled = 2 if layer.config.get("merge_mode", "concat") == "concat" else 1
    return (*out[:-1], None if out[-1] is None else doubled * out[-1])


def _same(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    return inputs[0]


def _channels_first(config: Mapping[str, Any]) -> bool:
    return config.get("data_format") == "channels_first"


def _spatial(
    config: Mapping[str, Any],
    shape: Shape,
    sizes: Callable[[int, int | None], int | None],
    channels: int | None,
) -> Shape:
    """A shape whose spatial axis number i becomes sizes(i, its size), and whose channels are given."""
    axes = shape[2:] if _channels_first(config) else shape[1:-1]
    new = tuple(sizes(axis, size) for axis, size in enumerate(axes))
    return (shape[0], channels, *new) if _channels_first(config) else (shape[0], *new, channels)


def _channels(config: Mapping[str, Any], shape: Shape) -> int | None:
    return shape[1] if _channels_first(config) else shape[-1]


def _each(value: Any, axis: int) -> int:
    """A setting of an axis: one number is for all."""
    return value[axis] if isinstance(value, list) else value


def _window(config: Mapping[str, Any], key: str, shape: Shape, channels: int | None) -> Shape:
    """What a window of `config[key]` leaves, at its strides, padding and dilation."""

    def size(axis: int, length: int | None) -> int | None:
        if length is None:
            return None
        default = config[key] if key == "pool_size" else 1
        stride = _each(config.get("strides") or default, axis)
        if config.get("padding", "valid") in ("same", "causal"):
            return math.ceil(length / stride)
        reach = (_each(config[key], axis) - 1) * _each(config.get("dilation_rate", 1), axis) + 1
        return (length - reach) // stride + 1

    return _spatial(config, shape, size, channels)


def _conv(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    return _window(config, "kernel_size", inputs[0], config["filters"])


def _depthwise(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    channels = _channels(config, inputs[0])
    multiplier = config.get("depth_multiplier", 1)
    return _window(config, "kernel_size", inputs[0], None if channels is None else channels * multiplier)


def _pool(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    return _window(config, "pool_size", inputs[0], _channels(config, inputs[0]))


def _transposed(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    def size(axis: int, length: int | None) -> int | None:
        if length is None:
            return None
        stride = _each(config.get("strides", 1), axis)
        reach = (_each(config["kernel_size"], axis) - 1) * _each(config.get("dilation_rate", 1), axis) + 1
        extra = config.get("output_padding")
        if extra is not None:
            kept = (length - 1) * stride + reach + _each(extra, axis)
            return kept - 2 * (reach // 2) if config.get("padding") == "same" else kept
        return length * stride + (0 if config.get("padding") == "same" else max(reach - stride, 0))

    return _spatial(config, inputs[0], size, config["filters"])


def _global_pool(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    channels = _channels(config, inputs[0])
    if not config.get("keepdims"):
        return (inputs[0][0], channels)
    return _spatial(config, inputs[0], lambda axis, length: 1, channels)


def _padded(config: Mapping[str, Any], inputs: list[Shape], key: str, sign: int) -> Shape:
    stated = config[key]
    sides = stated if isinstance(stated, list) and stated and isinstance(stated[0], list) else None

    def size(axis: int, length: int | None) -> int | None:
        if sides is not None:
            change = sum(sides[axis])
        elif len(inputs[0]) == 3 and isinstance(stated, list):
            change = sum(stated)
        else:
            change = 2 * _each(stated, axis)
        return None if length is None else length + sign * change

    return _spatial(config, inputs[0], size, _channels(config, inputs[0]))


def _upsampled(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    factors = config["size"]
    return _spatial(
        config,
        inputs[0],
        lambda axis, length: None if length is None else length * _each(factors, axis),
        _channels(config, inputs[0]),
    )


def _resized(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    sizes = (int(config["height"]), int(config["width"]))
    return _spatial(config, inputs[0], lambda axis, length: sizes[axis], _channels(config, inputs[0]))


def _dense(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    return (*inputs[0][:-1], config["units"])


def _flat(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    sizes = inputs[0][1:]
    return (inputs[0][0], None if None in sizes else math.prod(size or 0 for size in sizes))


def _reshaped(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    target = tuple(config["target_shape"])
    if -1 in target:
        total = _flat(config, inputs)[1]
        rest = -math.prod(target)
        target = tuple((None if total is None else total // rest) if size == -1 else size for size in target)
    return (inputs[0][0], *target)


def _merged(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    """Elementwise, as numpy broadcasts."""
    rank = max(map(len, inputs))
    padded = [(*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in inputs]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


def _concatenated(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    axis = config.get("axis", -1) % len(inputs[0])
    sizes = [shape[axis] for shape in inputs]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    return (*inputs[0][:axis], total, *inputs[0][axis + 1 :])


def _recurrent(config: Mapping[str, Any], inputs: list[Shape]) -> Shape:
    if config.get("return_state"):
        raise ValueError("several outputs")
    steps = inputs[0][1:2] if config.get("return_sequences") else ()
    return (inputs[0][0], *steps, config["units"])


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(
        ("Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dropout", "ELU"),
        _same,
    ),
    **dict.fromkeys(("GaussianDropout", "GaussianNoise", "GroupNormalization", "LayerNormalization"), _same),
    **dict.fromkeys(
        ("LeakyReLU", "Masking", "Normalization", "PReLU", "ReLU", "Rescaling", "Softmax"), _same
    ),
    **dict.fromkeys(("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ThresholdedReLU"), _same),
    **dict.fromkeys(
        ("RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation"), _same
    ),
    **dict.fromkeys(("RandomZoom", "UnitNormalization", "MultiHeadAttention"), _same),
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D"), _conv),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    **dict.fromkeys((f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)), _pool),
    **dict.fromkeys(
        (f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)), _global_pool
    ),
    **dict.fromkeys(
        ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
        lambda config, inputs: _padded(config, inputs, "padding", 1),
    ),
    **dict.fromkeys(
        ("Cropping1D", "Cropping2D", "Cropping3D"),
        lambda config, inputs: _padded(config, inputs, "cropping", -1),
    ),
    **dict.fromkeys(("UpSampling1D", "UpSampling2D", "UpSampling3D"), _upsampled),
    **dict.fromkeys(("Resizing", "CenterCrop", "RandomCrop"), _resized),
    **dict.fromkeys(("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract"), _merged),
    "CustomScaleLayer": _merged,
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), _recurrent),
    "Concatenate": _concatenated,
    "Dense": _dense,
    "Flatten": _flat,
    "Reshape": _reshaped,
    "Permute": lambda config, inputs: (inputs[0][0], *(inputs[0][axis] for axis in config["dims"])),
    "RepeatVector": lambda config, inputs: (inputs[0][0], config["n"], inputs[0][1]),
    "Embedding": lambda config, inputs: (*inputs[0], config["output_dim"]),
}
