"""Tells TensorFlow's checkpoints, of weights alone: `model.save_weights("cp.ckpt")` writes them."""

from __future__ import annotations

import re
from pathlib import Path

from porting.keras_file.problems import shown

_PART = re.compile(r"(?P<prefix>.+)\.(index|data-\d{5}-of-\d{5})")


def what_checkpoint(path: Path) -> str | None:
    """What a path is that names a checkpoint, a file of one, or a folder of them; None of any other.

    Args:
        path: As the user gave it; "cp.ckpt" is the name of no file, but of several.
    """
    prefix = _prefix(path)
    if prefix is None:
        return None
    if prefix.parent.name == "variables" and (prefix.parent.parent / "saved_model.pb").is_file():
        return f"is a part of a SavedModel: name its folder, {prefix.parent.parent}"
    name = shown(prefix.name)
    return (
        f"is a TensorFlow checkpoint ({name}.index, {name}.data-…): it holds weights, no model. Build the "
        f'model in Keras, then model.load_weights("{name}") and model.save("model.h5")'
    )


def _prefix(path: Path) -> Path | None:
    """The name that the files of a checkpoint begin with."""
    if path.is_dir():
        inside = sorted(each for each in path.glob("*.index") if _has_data(each.with_suffix("")))
        return inside[-1].with_suffix("") if inside else None
    match = _PART.fullmatch(path.name)
    if match is None and path.exists():
        return None
    found = path.with_name(match["prefix"]) if match else path
    has_index = found.with_name(f"{found.name}.index").is_file()
    return found if has_index and _has_data(found) else None


def _has_data(prefix: Path) -> bool:
    # Brackets and stars of a name mean themselves.
    escaped = re.sub(r"([*?\[])", r"[\1]", prefix.name)
    return any(prefix.parent.glob(f"{escaped}.data-*"))
