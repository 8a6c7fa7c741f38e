"""A converted model's folder as the port of an audit: `--port FOLDER`."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from parity_common.command_errors import UserError
from porting.layer_ends import End, Layer
from porting.weights import CarriedPlace

LAYERS_FILE = "layers.json"
_NO_PART = "in_keras_alone_"


def converted_port(folder: Path) -> Callable[[], nn.Module]:
    """What makes the model of a folder, its modules known by the names of Keras's layers.

    Args:
        folder: That `python -m porting convert` wrote. Its model.py is run.

    Raises:
        UserError: It is no such folder.
    """
    try:
        said = json.loads((folder / LAYERS_FILE).read_text(encoding="utf-8"))
        name = said["class"]
        modules = {layer["keras"]: layer["torch"] for layer in said["layers"] if layer["torch"] is not None}
        layers = {layer["keras"]: _layer(layer) for layer in said["layers"]}
        places = {layer["keras"]: _places(layer) for layer in said["layers"]}
        frozen = [layer["torch"] for layer in said["layers"] if not layer["trains"]]
        in_inference = [layer["torch"] for layer in said["layers"] if layer["in_inference"]]
    except KeyError as error:
        raise UserError(
            f"--port {folder} is of another version, convert it again: it lacks {error}"
        ) from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"--port {folder} is no folder of a converted model: {error}") from error
    spec = importlib.util.spec_from_file_location("converted_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        with _importable(folder):
            spec.loader.exec_module(module)
        made = getattr(module, name)
    except Exception as error:
        raise UserError(f"--port {folder}: model.py cannot be run: {error}") from error

    def build() -> nn.Module:
        net = made()
        net.keras_names, net.keras_layers, net.keras_places = modules, layers, places
        for layer in said["layers"]:
            _hold_what_plays_no_part(net, layer)
        for path, part in net.named_modules():
            if path in frozen:
                part.requires_grad_(False)
            if path in in_inference:
                # A copy of the net has it, too.
                part.register_forward_pre_hook(_to_inference)
        return net

    return build


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Lets model.py import what stands beside it: a copy of the user's own functions."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _to_inference(module: nn.Module, arguments: Any) -> None:
    """A frozen BatchNormalization of Keras stays in it (D11)."""
    module.eval()


def _layer(said: dict[str, Any]) -> Layer:
    ends = tuple(End(**end) for end in said["ends"])
    return Layer(tuple(said["modules"]), ends, tuple(said["axes"]))


def _places(said: dict[str, Any]) -> dict[str, CarriedPlace]:
    """Where a layer's weights are, but of those whose axes alone do not say how they were turned."""
    return {
        weight["name"]: CarriedPlace(
            weight["torch"] or f"{said['torch']}.{_NO_PART}{weight['name']}",
            tuple(weight["axes"]),
            tuple(weight["torch_shape"]),
        )
        for weight in said["weights"]
        if weight["axes"] is not None
    }


def _hold_what_plays_no_part(net: nn.Module, said: dict[str, Any]) -> None:
    """Gives a layer the weights that the model does without: an audit counts every array."""
    for weight in said["weights"]:
        if weight["torch"] is None and said["torch"] is not None:
            held = torch.zeros(weight["shape"], dtype=getattr(torch, weight["dtype"]))
            net.get_submodule(said["torch"]).register_buffer(f"{_NO_PART}{weight['name']}", held)
