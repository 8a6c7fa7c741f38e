"""The class folders of a data set and their images: what both sides refuse before they read a picture."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from parity_common.command_errors import UserError, did_you_mean

# keras-preprocessing 1.1.2 image/iterator.py, Iterator.white_list_formats.
IMAGE_SUFFIXES = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
# Of what systems and editors leave behind, hidden names aside.
STRAY_NAMES = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")
# What the parts of a set that was split beforehand are called, as a word of the folder's name.
PART_WORDS = (
    *("train", "training", "trainset", "trn"),
    *("val", "valid", "validation", "valset", "dev", "eval", "evaluation", "holdout"),
    *("test", "testing", "testset"),
)


def folder_names(root: Path) -> tuple[str, ...]:
    """The folders in `root`, sorted by code point as Keras sorts its classes.

    Every folder counts, a hidden or empty one too (keras-preprocessing 1.1.2 image/directory_iterator.py),
    so that labels stay those of the Keras model.

    Raises:
        UserError: No such folder, or none in it.
    """
    try:
        # isdir takes a link to itself for no folder, as Keras does; an entry's is_dir raises.
        names = sorted(entry.name for entry in os.scandir(root) if os.path.isdir(entry.path))
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


def list_images(class_folder: Path) -> list[str]:
    """Paths below `class_folder` of its images, subfolders included, in Keras's order.

    Folders are walked in sorted order and each one's files sorted, which is not the order of the sorted
    paths (keras-preprocessing 1.1.2 image/utils.py, `_iter_valid_files`). Links to folders are not followed.
    """
    found = []
    for folder, _, names in sorted(os.walk(class_folder), key=lambda step: step[0]):
        inner = os.path.relpath(folder, class_folder)
        for name in sorted(names):
            # Without the dot, as Keras has it: a file named `scan_jpg` counts too.
            if name.lower().endswith(IMAGE_SUFFIXES):
                found.append(name if inner == "." else os.path.join(inner, name))
    return found


def validation_count(images: int, validation_split: float) -> int:
    """How many of a class's images, its first, validate: ImageDataGenerator's rule.

    Args:
        images: Of the class.
        validation_split: In (0, 1).
    """
    # keras-preprocessing 1.1.2 image/utils.py, _list_valid_filenames_in_directory.
    return int(validation_split * images)


def is_stray(name: str) -> bool:
    """Whether a folder's name says that nobody meant it as data."""
    return name.startswith(".") or name in STRAY_NAMES


def split_folders(images: Mapping[str, Sequence[str]]) -> list[str]:
    """The folders that are parts of a set, as train and val, in place of classes; empty where none are.

    They are named so, two or more of them, and at least one holds its images in folders. Classes named
    `train` and `plane` that hold images are classes.

    Args:
        images: By folder, its images' paths below it.
    """
    parts = [name for name in images if not is_stray(name) and _is_named_as_part(name)]
    return parts if len(parts) > 1 and any(_lie_in_folders(images[name]) for name in parts) else []


def refuse_split_folders(root: Path, names: Sequence[str]) -> None:
    """Refuses to take the parts of a set that was split beforehand for classes.

    Args:
        root: The folder.
        names: Of the folders in it that would be the classes.

    Raises:
        UserError: They are such parts.
    """
    named = [name for name in names if _is_named_as_part(name)]
    if len(named) < 2:
        return
    if parts := split_folders({name: list_images(root / name) for name in named}):
        first = next((name for name in parts if name.lower().startswith("tr")), parts[0])
        raise UserError(
            f"{root} holds {' and '.join(parts)}, which are folders of class folders and no classes: give "
            f"--data.root {root / first}"
        )


def _is_named_as_part(name: str) -> bool:
    return any(word in PART_WORDS for word in re.findall("[a-z]+", name.lower()))


def _lie_in_folders(files: Sequence[str]) -> bool:
    """Whether most images lie in folders, such as a system's or an editor's aside."""
    inner = [file for file in files if os.sep in file and not is_stray(file.split(os.sep)[0])]
    return 2 * len(inner) > len(files)


def list_classes(root: Path, wanted: Sequence[str] | None = None) -> tuple[str, ...]:
    """The class folders of `root`, in label order.

    Args:
        root: The folder of class folders.
        wanted: `data.classes`: these, in this order. None: all, sorted.

    Raises:
        UserError: No such folder, fewer than two folders in it, a wanted one that is not there, or parts such
            as train and val in place of classes.
    """
    names = folder_names(root)
    if wanted is not None:
        names = chosen_classes(names, wanted)
    if len(names) == 1:
        below = [entry for entry in os.scandir(root / names[0]) if os.path.isdir(entry.path)]
        hint = f" (or give --data.root {root / names[0]})" if len(below) > 1 else ""
        raise UserError(f"one class folder, {names[0]}, in {root}: a classifier needs two or more{hint}")
    refuse_split_folders(root, names)
    return names
