"""Writes a conversion's folder: whole, or not at all."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from lightning_impl.keras_semantics.optimizers.stored import save_state
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError
from parity_common.file_modes import give_usual_mode
from porting.carried_weights import layers_of
from porting.convert.carried_over import why_no_training
from porting.convert.compiled import Compiled
from porting.convert.conversion import Conversion
from porting.convert.lightning_module import lightning_module
from porting.convert.readme import readme
from porting.converted_port import LAYERS_FILE
from porting.custom import OwnModule
from porting.emit.layer_ends import layers_in
from porting.emit.state import module_of
from porting.rules.piece import Carry

WRITTEN = (
    "README.md",
    "layers.json",
    "lightning_module.py",
    "model.py",
    "optimizer.safetensors",
    "proof.html",
    "proof.json",
    "weights.safetensors",
)
"""What a conversion's folder holds: with anything else in it, it is not replaced."""
_CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache")


@contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder that takes `out`'s place when all is written in it.

    Raises:
        UserError: `out` is there already and is not to be overwritten, or cannot be written.
    """
    check_free(out, overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error.strerror}") from error
    try:
        yield part
        # safetensors makes files that nobody else may read.
        for path in (part, *part.iterdir()):
            give_usual_mode(path)
        if out.exists():
            # A rename takes the place of an empty folder alone.
            old = part.with_suffix(".old")
            out.rename(old)
            part.rename(out)
            shutil.rmtree(old)
        else:
            part.rename(out)
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_free(out: Path, overwrite: bool) -> None:
    """Refuses an `out` that holds something.

    Raises:
        UserError: It does, and is not to be overwritten, or is no conversion's folder.
    """
    if out.is_file():
        raise UserError(f"--out {out} is a file: give a folder that is not there yet")
    if not out.is_dir() or not any(out.iterdir()):
        return
    known = {*WRITTEN, *_CACHES, *_copied(out)}
    others = sorted(path.name for path in out.iterdir() if path.name not in known)
    if others or not (out / LAYERS_FILE).is_file():
        named = f" ({', '.join(others[:3])})" if others else ""
        raise UserError(f"--out {out} holds other things{named}: give a folder that is not there yet")
    if not overwrite:
        raise UserError(f"--out {out} holds a converted model: give another, or --overwrite to replace it")


def _copied(out: Path) -> list[str]:
    """The user's own modules that the conversion copied into its folder."""
    try:
        copied = json.loads((out / LAYERS_FILE).read_text(encoding="utf-8")).get("copied", [])
    except (OSError, ValueError, AttributeError):
        return []
    return [name for name in copied if isinstance(name, str)] if isinstance(copied, list) else []


def write_conversion(
    folder: Path,
    conversion: Conversion,
    compiled: Compiled,
    profile: Profile,
    plain: bool,
    own: Sequence[OwnModule] = (),
) -> None:
    """Writes everything but the proof.

    Args:
        folder: Empty.
        conversion: The model.
        compiled: Its training.
        profile: The Keras generation whose rules hold.
        plain: With torch's own optimizer and loss.
        own: The modules of the user's own that model.py imports.
    """
    (folder / "model.py").write_text(conversion.text, encoding="utf-8")
    tensors = {name: tensor.contiguous() for name, tensor in conversion.net.state_dict().items()}
    save_file(tensors, folder / "weights.safetensors")
    copied = [f"{module.name}.py" for module in own if module.source is not None]
    for module in own:
        if module.source is not None:
            shutil.copyfile(module.source, folder / f"{module.name}.py")
    said = {
        "class": conversion.source.class_name,
        "layers": list(_layers(conversion, compiled)),
        **({"copied": copied} if copied else {}),
    }
    (folder / LAYERS_FILE).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    remain: list[str] = []
    if not why_no_training(conversion.program):
        text, remain = lightning_module(conversion, compiled, profile, plain)
        (folder / "lightning_module.py").write_text(text, encoding="utf-8")
        if compiled.goes_on and compiled.optimizer is not None and not plain:
            scalars = dict(compiled.optimizer.scalars)
            scalars["iterations"] = scalars.pop("iteration")
            save_state(folder / "optimizer.safetensors", compiled.slots, scalars)
    text = readme(conversion, compiled, profile, plain, remain, own)
    # Half a character in a name, which JSON can hold, is none in UTF-8.
    (folder / "README.md").write_text(text, encoding="utf-8", errors="backslashreplace")


def _layers(conversion: Conversion, compiled: Compiled) -> Iterator[dict[str, Any]]:
    """Every layer, its modules, where it ends, where its weights are, and whether Keras trains them."""
    layers = layers_in(conversion.source.runs, conversion.program)
    for path, piece in layers_of(conversion.program):
        module = module_of(conversion.source, path) if (path, "") in conversion.source.places else None
        weights = [
            {
                "name": name,
                "shape": list(array.shape),
                # Some, such as a count of what training has seen, play no part.
                "torch": f"{module}.{attribute}" if (attribute := piece.weights[name].attribute) else None,
                "dtype": np.dtype(array.dtype).name,
                **_turned(piece.weights[name], array.shape),
            }
            for name, array in conversion.file.weights.get(path, {}).items()
        ]
        yield {
            "keras": "/".join(path),
            "torch": module,
            **asdict(layers[path]),
            "trains": module not in compiled.frozen,
            "in_inference": module in compiled.frozen_norms,
            "weights": weights,
        }


def _turned(place: Carry, shape: tuple[int, ...]) -> dict[str, Any]:
    """The axes that turn a weight of Keras's, and its shape then; neither where it is turned otherwise."""
    axes = list(place.axes or range(len(shape)))
    turned = [shape[axis] for axis in axes]
    if place.then is None:
        return {"axes": axes, "torch_shape": turned}
    # Only a layer's smaller weights are, and recurrent ones: numbers in their places tell how.
    numbers = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    carried = place.carried(numbers)
    if not np.array_equal(carried.ravel(), numbers.transpose(axes).ravel()):
        return {"axes": None, "torch_shape": None}
    return {"axes": axes, "torch_shape": list(carried.shape)}
