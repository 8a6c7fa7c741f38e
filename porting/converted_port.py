"""A converted model's folder as the port of an audit: `--port FOLDER`."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

from torch import nn

from parity_common.command_errors import UserError

LAYERS_FILE = "layers.json"


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
        modules = {layer["keras"]: layer["torch"] for layer in said["layers"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"--port {folder} is no folder of a converted model: {error}") from error
    spec = importlib.util.spec_from_file_location("converted_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        made = getattr(module, name)
    except Exception as error:
        raise UserError(f"--port {folder}: model.py cannot be run: {error}") from error

    def build() -> nn.Module:
        net = made()
        net.keras_names = {keras: own for keras, own in modules.items() if own is not None}
        net.keras_expressions = tuple(keras for keras, own in modules.items() if own is None)
        return net

    return build
