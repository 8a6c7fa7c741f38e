"""The class folders of a data set: what both sides refuse before they read a picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from parity_common.command_errors import UserError, did_you_mean


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
        # A run's own config may be read in another folder than the one in which it was trained.
        where = "" if root.is_absolute() else f" (a relative path; it was looked for at {root.absolute()})"
        raise UserError(f"no such folder {root}{where}: give data.root a folder of class folders") from error
    except NotADirectoryError as error:
        raise UserError(f"{root} is a file: give data.root a folder of class folders") from error
    except OSError as error:
        raise UserError(f"cannot read {root}: {error.strerror}") from error
    if not names:
        raise UserError(f"no class folders in {root}: it needs one folder of images for each class")
    return tuple(names)


def chosen_classes(there: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """`wanted` itself, which is the label order too, as in flow_from_directory's `classes`.

    Args:
        there: Every class of the set.
        wanted: `data.classes`.

    Raises:
        UserError: One that is not there or stands twice, or fewer than two.
    """
    for place, name in enumerate(wanted):
        if name not in there:
            raise UserError(f"data.classes: no class {name}{did_you_mean(name, there)}")
        if name in wanted[:place]:
            raise UserError(f"data.classes names {name} twice: leave one out")
    if len(wanted) < 2:
        raise UserError(f"data.classes has {len(wanted)} names: a classifier needs two or more")
    return tuple(wanted)


def list_classes(root: Path, wanted: Sequence[str] | None = None) -> tuple[str, ...]:
    """The class folders of `root`, in label order.

    Args:
        root: The folder of class folders.
        wanted: `data.classes`: these, in this order. None: all, sorted.

    Raises:
        UserError: No such folder, fewer than two folders in it, or a wanted one that is not there.
    """
    names = folder_names(root)
    if wanted is not None:
        return chosen_classes(names, wanted)
    if len(names) == 1:
        raise UserError(f"one class folder, {names[0]}, in {root}: a classifier needs two or more")
    return names
