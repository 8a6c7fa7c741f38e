"""Whether a Keras file's model computes what a port of lightning_impl computes, layer by layer.

Both sides are written as steps in Keras's order of layers: an activation that is an argument of a layer is a
step of its own, dropout of rate 0 none. Names do not count, those of automatic making differ from session to
session.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from torch import nn

from parity_common.command_errors import UserError
from porting.carry_over.port_steps import SOFTMAX, Step, port_steps
from porting.graph import Call, Graph, Layer
from porting.keras_file import KerasFile

# keras_reference/models/final.py registers the layer under this package; Keras 3 names the module, too.
_OUR_PACKAGE, _CAFFE = "keras_reference", "CaffePreprocessing"
_ALIASES = {"swish": "silu"}
_MERGING = ("Add", "Multiply")


@dataclass(frozen=True)
class _Found:
    step: Step
    layer: str


def check_architecture(file: KerasFile, net: nn.Module, image_size: tuple[int, int]) -> None:
    """Refuses a file whose model is not the net.

    Args:
        file: A model's, its end a softmax or what stands before one.
        net: The config's.
        image_size: The config's, height and width in pixels.

    Raises:
        UserError: The first layer that differs, or the images' size.
    """
    _check_calls(file, file.graph, isinstance(getattr(net, "keras_names", None), Mapping))
    _check_image_size(file, image_size)
    theirs = [found for _, layer in file.graph.walk() for found in _steps_of(layer)]
    if theirs and theirs[-1].step.kind == SOFTMAX:
        theirs.pop()
    for found, ours in zip_longest(theirs, port_steps(net)):
        if found is None or ours is None:
            where = "no more layers" if found is None else f"{found.step.kind} {found.layer}"
            raise _other(file, where, "no more layers" if ours is None else ours.kind)
        if found.step.kind != ours.kind:
            raise _other(file, f"{found.step.kind} {found.layer}", ours.kind)
        for key, value in ours.settings.items():
            if not _same(found.step.settings.get(key), value):
                said = f"{key} {_shown(found.step.settings.get(key))} in {found.layer}"
                raise _other(file, said, _shown(value), key == "rate")


def ends_in_softmax(graph: Graph) -> bool:
    """Whether a model's last layer is a softmax, or has one for its activation."""
    steps = [found.step for _, layer in graph.walk() for found in _steps_of(layer)]
    return bool(steps) and steps[-1].kind == SOFTMAX


def _other(file: KerasFile, theirs: str, ours: str, is_dropout: bool = False) -> UserError:
    hint = (
        "give final's as --model.arch_arguments.dropout, any other is"
        if is_dropout
        else "give the config that it is of, or convert it: it is"
    )
    return UserError(
        f"{file.path} has {theirs} where the config's net has {ours}: {hint} another architecture"
    )


def _check_calls(file: KerasFile, graph: Graph, has_branches: bool) -> None:
    """Refuses shared layers, and in a net without branches any layer that does not take the one before."""
    seen: set[str] = set()
    before = graph.inputs[0].layer if graph.inputs else ""
    for call in graph.calls:
        layer = graph.layer(call.layer)
        count = 2 if layer.class_name in _MERGING else 1
        follows = has_branches or [ref.layer for ref in call.inputs] == [before]
        if call.layer in seen or len(call.inputs) != count or not follows:
            raise UserError(
                f"{file.path} calls {call.layer} otherwise than the config's net does: "
                "it is of another architecture"
            )
        _check_mode(file, call, layer)
        seen.add(call.layer)
        before = call.layer
        if layer.graph is not None:
            _check_calls(file, layer.graph, has_branches)


def _check_mode(file: KerasFile, call: Call, layer: Layer) -> None:
    """Refuses a call in a mode of its own where that changes a training.

    Keras 3 stores the mode as well, but its fit puts its own in the place (keras 3.15 models/functional.py,
    `operation_fn`).
    """
    mode = None if file.keras_version.startswith("3") else call.keywords.get("training")
    inside = [layer] if layer.graph is None else [each for _, each in layer.graph.walk()]
    changes = [each.name for each in inside if mode is not None and _knows_training(each)]
    if changes:
        raise UserError(
            f"{file.path} calls {call.layer} with training={mode}, which changes {changes[0]} in a training: "
            "a fit here has no such calls, train on in Keras or without it"
        )


def _knows_training(layer: Layer) -> bool:
    """Whether a layer computes something else in training; a frozen BatchNormalization does not."""
    if layer.class_name == "BatchNormalization":
        return layer.trainable
    return layer.class_name == "Dropout" and bool(layer.config.get("rate"))


def _check_image_size(file: KerasFile, image_size: tuple[int, int]) -> None:
    ref = file.graph.inputs[0] if len(file.graph.inputs) == 1 else None
    if ref is None or len(file.graph.outputs) != 1:
        raise UserError(f"{file.path} has not one input and one output: a classifier of images has")
    config = file.graph.layer(ref.layer).config
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    if shape is None or list(shape[1:]) != [*image_size, 3]:
        raise UserError(
            f"{file.path} takes images {_shown(None if shape is None else shape[1:])}, the config "
            f"{_shown([*image_size, 3])}: give --data.image_size the model's"
        )


def _steps_of(layer: Layer) -> Iterator[_Found]:
    if layer.graph is not None or layer.class_name == "InputLayer":
        return
    config, kind = layer.config, layer.class_name
    if layer.package is not None and (layer.package.split(".")[0], kind) != (_OUR_PACKAGE, _CAFFE):
        kind = f"{layer.package}>{kind}"
    if kind == "Dropout" and not config.get("rate"):
        return
    if kind in ("Activation", "ReLU", "Softmax"):
        kind, config = _activation_layer(layer), {}
    if config.get("data_format") == "channels_first":
        kind = f"channels_first {kind}"
    if kind != "linear":
        yield _Found(Step(kind, _settings(kind, config)), layer.name)
    own = _activation(config.get("activation"))
    if own != "linear":
        yield _Found(Step(own), layer.name)


def _settings(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    settings = dict(config)
    if kind in ("Conv2D", "DepthwiseConv2D") and _same(config.get("kernel_size"), (1, 1)):
        settings["padding"] = "valid"
    if kind == "Dropout":
        shape = config.get("noise_shape")
        settings["is_per_image"] = list(shape[1:]) == [1] * (len(shape) - 1) if shape else False
    if kind == "Rescaling":
        settings["offset"] = config.get("offset", 0.0)
    return settings


def _activation_layer(layer: Layer) -> str:
    config = layer.config
    if layer.class_name == "Activation":
        return _activation(config.get("activation"))
    if layer.class_name == "Softmax":
        return SOFTMAX if config.get("axis", -1) == -1 else "softmax over another axis"
    if config.get("negative_slope") or config.get("threshold"):
        return "leaky relu"
    most = config.get("max_value")
    return "relu" if most is None else f"relu{most:g}"


def _activation(stated: Any) -> str:
    if isinstance(stated, Mapping):
        # A function or an object of Keras 3.
        stated = stated.get("config") if isinstance(stated.get("config"), str) else stated.get("class_name")
    name = "linear" if stated is None else str(stated)
    return _ALIASES.get(name, name)


def _same(theirs: Any, ours: Any) -> bool:
    if isinstance(ours, list | tuple):
        if isinstance(theirs, int | float):
            theirs = [theirs] * len(ours)
        is_list = isinstance(theirs, list | tuple) and len(theirs) == len(ours)
        return is_list and all(_same(*pair) for pair in zip(theirs, ours, strict=True))
    if isinstance(ours, float):
        # A number that one side works out, or keeps in float32.
        return isinstance(theirs, int | float) and math.isclose(theirs, ours, rel_tol=1e-6)
    return theirs == ours


def _shown(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
