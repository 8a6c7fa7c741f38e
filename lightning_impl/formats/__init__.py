"""What a trained classifier is exported to, each form a file with everything that prediction needs.

Every form takes images as `predict` decodes them, uint8 `(N, H, W, 3)`, of any N, and gives probabilities.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from parity_common.command_errors import UserError
from parity_common.extras import how_to_install


@dataclass(frozen=True)
class Format:
    """One form.

    Attributes:
        file: Its file's name.
        module: Has `write(deployed, metadata, path)` and `open_file(path)`, which gives a function of images.
        packages: It needs beside the project's own.
    """

    file: str
    module: str
    packages: tuple[str, ...]

    def load(self) -> ModuleType:
        """The module; takes seconds."""
        return import_module(self.module)


FORMATS = {
    "safetensors": Format("model.safetensors", "lightning_impl.formats.safetensors_file", ("safetensors",)),
    "torch-export": Format("model.pt2", "lightning_impl.formats.torch_program", ()),
    "onnx": Format("model.onnx", "lightning_impl.formats.onnx_graph", ("onnx", "onnxscript", "onnxruntime")),
}


def require_packages(name: str) -> None:
    """Refuses a form whose packages are not installed.

    Args:
        name: A key of `FORMATS`.

    Raises:
        UserError: Names them and the command that installs them.
    """
    missing = [package for package in FORMATS[name].packages if importlib.util.find_spec(package) is None]
    if missing:
        raise UserError(f"--to {name} needs {', '.join(missing)}: {how_to_install('export')}")
