"""The class folders of a data set: what both sides refuse before they read a picture."""

from __future__ import annotations

import os
from pathlib import Path

from parity_common.command_errors import UserError


def folder_names(root: Path) -> tuple[str, ...]:
    """The folders in `root`, sorted by code point as Keras sorts its classes.

    Every folder counts, a hidden or empty one too (keras-preprocessing 1.1.2 image/directory_iterator.py),
    so that labels stay those of the Keras model.

    Raises:
        UserError: No such folder, or none in it.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    except FileNotFoundError as error:
        raise UserError(f"no such folder {root}: give data.root a folder of class folders") from error
    except NotADirectoryError as error:
        raise UserError(f"{root} is a file: give data.root a folder of class folders") from error
    except OSError as error:
        raise UserError(f"cannot read {root}: {error.strerror}") from error
    if not names:
        raise UserError(f"no class folders in {root}: it needs one folder of images for each class")
    return tuple(names)


def list_classes(root: Path) -> tuple[str, ...]:
    """The class folders of `root`, in label order.

    Raises:
        UserError: No such folder, or fewer than two folders in it.
    """
    names = folder_names(root)
    if len(names) == 1:
        raise UserError(f"one class folder, {names[0]}, in {root}: a classifier needs two or more")
    return names
