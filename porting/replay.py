"""Builds the torch port of a traced model and runs it on the traced inputs."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.profile import PROFILES
from parity_common.command_errors import UserError, did_you_mean
from porting.converted_port import converted_port
from porting.layer_ends import Layer, LayerEnds
from porting.trace import Trace
from porting.weights import torch_names

Port = Callable[..., nn.Module]

# The Keras axis of each axis of an image: `(N, C, H, W)` of `(N, H, W, C)`.
TO_CHANNELS_FIRST = (0, 3, 1, 2)


@dataclass
class Replay:
    """What a port did with the traced inputs.

    Attributes:
        names: The layers in the order in which they ran.
        outputs: Each layer's output in Keras's axis order; the last one, where a layer ran twice.
        failure: What the port raised, in one line, or "".
        failed_in: The layer it was raised in.
        unseen: Layers that have no place of their own in the port.
    """

    names: list[str] = field(default_factory=list)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    failure: str = ""
    failed_in: str = ""
    unseen: set[str] = field(default_factory=set)


def load_port(spec: str) -> Port:
    """The class or function `package.module:Name`, or the folder of a converted model, that makes the port.

    Raises:
        UserError: No such module or name, or a folder that is none.
    """
    if Path(spec).is_dir():
        return converted_port(Path(spec))
    module_name, _, name = spec.partition(":")
    if not module_name or not name.isidentifier():
        raise UserError(f"--port {spec}: expected package.module:Class, or a converted model's folder")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(f"--port {spec}: cannot import {module_name}: {error}") from error
    if not callable(getattr(module, name, None)):
        raise UserError(f"--port {spec}: {module_name} has no class {name}{did_you_mean(name, vars(module))}")
    return getattr(module, name)


def build_port(port: Port, trace: Trace) -> nn.Module:
    """Calls the port with what its signature accepts of classes, image_size and profile.

    Returns:
        The module in the trace's dtype, in evaluation mode and channels_last memory.

    Raises:
        UserError: The port requires anything else, or the trace's profile is unknown.
    """
    offered = _arguments(trace)
    parameters = inspect.signature(port).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    accepted = {parameter.name for parameter in parameters}
    for parameter in parameters:
        variadic = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if parameter.default is parameter.empty and not variadic and parameter.name not in offered:
            raise UserError(
                f"the port requires {parameter.name}; a trace can tell it {', '.join(offered)}: "
                f"give {parameter.name} a default"
            )
    module = port(**{name: value for name, value in offered.items() if takes_any or name in accepted})
    dtype: torch.dtype = getattr(torch, trace.dtype)
    return module.to(dtype=dtype).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def inputs_of(trace: Trace) -> list[Tensor]:
    """The traced inputs for torch: images `(N, H, W, C)` as a channels_last view `(N, C, H, W)`."""
    arrays = [torch.from_numpy(trace.array(name)) for name in trace.input_names]
    return [array.permute(TO_CHANNELS_FIRST) if array.dim() == 4 else array for array in arrays]


def run(module: nn.Module, trace: Trace) -> Replay:
    """Runs the port on the traced inputs and keeps what every layer gave.

    A layer is a submodule that bears a Keras layer's name, or that the port's `keras_names` says is one, or a
    leaf under no such one. The port returns logits; where it has `probabilities`, that is what is run, for
    Keras ends in its softmax. A converted model's `keras_layers` say of what its layers consist, and where in
    its forward each of them ends.
    """
    replay = Replay()
    handles = []
    running: list[str] = []
    layers: Mapping[str, Layer] = getattr(module, "keras_layers", {})
    parts = {path for layer in layers.values() for path in layer.modules}
    for path, name, layer in _layers(module, {layer.name for layer in trace.layers}):
        if path not in parts:
            handles.append(layer.register_forward_pre_hook(_enter(name, running)))
            handles.append(layer.register_forward_hook(_leave(name, running, replay, bool(layers))))
    ends = LayerEnds(module, layers, lambda name, output: _keep(replay, name, output, layers[name].axes))
    try:
        with torch.no_grad(), ends:
            getattr(module, "probabilities", module)(*inputs_of(trace))
    except Exception as error:  # Whatever the port raises is a finding, and named as one.
        replay.failure = " ".join(f"{type(error).__name__}: {error}".split())
        replay.failed_in = running[-1] if running else ends.at
    finally:
        replay.unseen = ends.unseen - replay.outputs.keys()
        for handle in handles:
            handle.remove()
    return replay


def _arguments(trace: Trace) -> dict[str, Any]:
    """What a trace can tell a port's constructor."""
    if trace.profile not in PROFILES:
        raise UserError(f'the trace has profile "{trace.profile}": one of {", ".join(PROFILES)} is known')
    arguments: dict[str, Any] = {"profile": PROFILES[trace.profile]}
    if len(trace.input_shapes) == 1 and len(trace.input_shapes[0]) == 4:
        arguments["image_size"] = trace.input_shapes[0][1:3]
    if len(trace.outputs) == 1:
        arguments["classes"] = trace.layer(trace.outputs[0]).output_shape[-1]
    return arguments


def _layers(module: nn.Module, keras_names: set[str]) -> list[tuple[str, str, nn.Module]]:
    """The path, name and module of each layer."""
    found: list[tuple[str, str, nn.Module]] = []
    named: list[str] = []
    keras_name_of = {ours: keras for keras, ours in torch_names(module).items()}
    for path, layer in module.named_modules():
        name = keras_name_of.get(path, path)
        if name in keras_names:
            named.append(path)
            found.append((path, name, layer))
        # A module that is a Keras layer may be built of others: they are its own affair.
        elif path and not any(layer.children()) and not any(path.startswith(f"{outer}.") for outer in named):
            found.append((path, name, layer))
    return found


def _enter(name: str, running: list[str]) -> Callable[..., None]:
    def hook(layer: nn.Module, arguments: Any) -> None:
        running.append(name)

    return hook


def _leave(name: str, running: list[str], replay: Replay, is_extra: bool) -> Callable[..., None]:
    def hook(layer: nn.Module, arguments: Any, output: Any) -> None:
        running.pop()
        # What is no part of a converted model's layers has nothing to be compared with.
        _keep(replay, name, None if is_extra else output)

    return hook


def _keep(replay: Replay, name: str, output: Any, axes: Sequence[int] | None = None) -> None:
    """Keeps an output; its axes are an image's unless they are stated."""
    replay.names.append(name)
    if isinstance(output, Tensor):
        if axes is None:
            axes = TO_CHANNELS_FIRST if output.dim() == 4 else range(output.dim())
        # Of another number of axes than Keras's the shape alone is compared.
        in_keras_order = output.permute(*np.argsort(axes).tolist()) if len(axes) == output.dim() else output
        # A copy: a later layer may work in place on the same memory.
        replay.outputs[name] = in_keras_order.detach().cpu().numpy().copy(order="C")
