"""Image files as a user names them, and their pixels one after the other."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_impl.data.decode import decode_image
from lightning_impl.data.processes import map_in_processes
from parity_common.class_folders import IMAGE_SUFFIXES, folder_names, list_images, refuse_split_folders
from parity_common.command_errors import UserError, did_you_mean
from parity_common.progress import track

# Enough to keep a processor busy; of 224 x 224 pixels they take 10 MB, and a net's activations far more.
BATCH_IMAGES = 64


@dataclass(frozen=True)
class ReadImage:
    """One file.

    Attributes:
        path: As it was named.
        pixels: `(H, W, 3)` RGB, 0-255; None where it cannot be read.
        reason: Why it cannot be read, in one line.
    """

    path: Path
    pixels: NDArray[np.uint8] | None
    reason: str = ""


def find_images(words: Sequence[str]) -> list[Path]:
    """The files that a command line's inputs mean, in order, each once.

    A file is taken whatever its name; of a folder those with a suffix that Keras takes, subfolders included;
    a glob as if each of its matches had been named. A name that exists is no glob, whatever signs it holds.

    Raises:
        UserError: Nothing there.
    """
    found: dict[Path, None] = {}
    for word in words:
        if not word:
            raise UserError("an input is empty: give a file, a folder or a glob")
        if Path(word).exists():
            found.update(dict.fromkeys(_named(Path(word))))
            continue
        matches = sorted(glob.glob(word, recursive=True))
        if not matches:
            raise UserError(f"no such file or folder, and no glob that matches anything: {word}")
        for match in matches:
            # A folder without images is no fault where other matches have some.
            found.update(dict.fromkeys(_named(Path(match), may_be_empty=True)))
    if not found:
        raise UserError(f"no images in {' '.join(words)} ({', '.join(IMAGE_SUFFIXES)})")
    return list(found)


def labelled_images(root: Path, class_names: Sequence[str]) -> tuple[list[Path], list[int], list[str]]:
    """Files and labels of a folder of class folders, numbered as a training had them.

    Args:
        root: The folder; it may lack classes.
        class_names: The training's, in label order.

    Returns:
        Files, their labels, and the classes that have no image there.

    Raises:
        UserError: A class folder that the training did not know, or no images.
    """
    there = folder_names(root)
    refuse_split_folders(root, [name for name in there if name not in class_names])
    unknown = [name for name in there if name not in class_names]
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UserError(
            f"{root} has a class folder {unknown[0]}{more} that the training did not know"
            f"{did_you_mean(unknown[0], class_names)}: rename it or take it out; "
            f"the {len(class_names)} classes are {', '.join(class_names[:5])}"
            + ("…" if len(class_names) > 5 else "")
        )
    files: list[Path] = []
    labels: list[int] = []
    missing = []
    for label, name in enumerate(class_names):
        images = list_images(root / name) if name in there else []
        files += [root / name / image for image in images]
        labels += [label] * len(images)
        if not images:
            missing.append(name)
    if not files:
        raise UserError(f"no images in the class folders of {root} ({', '.join(IMAGE_SUFFIXES)})")
    return files, labels, missing


def read_image(path: Path, image_size: tuple[int, int]) -> ReadImage:
    """One file, decoded by Keras's rule, or why it cannot be.

    Args:
        path: The file.
        image_size: Height and width in pixels to resize to.
    """
    try:
        # A pipe named as an image would be waited for for ever.
        if not path.is_file():
            return ReadImage(path, None, f"image file {path} is no file, or a link to none")
        return ReadImage(path, decode_image(path, image_size))
    except UserError as error:
        return ReadImage(path, None, " ".join(str(error).split()))
    except OSError as error:
        return ReadImage(path, None, f"image file {path}: {error.strerror}")


def read_batches(
    paths: Sequence[Path], image_size: tuple[int, int], description: str
) -> Iterator[list[ReadImage]]:
    """Files in order, `BATCH_IMAGES` at a time, read in several processes; memory is that of a few batches.

    Args:
        paths: The files.
        image_size: Height and width in pixels to resize to.
        description: What the progress bar says.
    """
    read = map_in_processes(partial(read_image, image_size=image_size), paths)
    images = iter(track(description)(read, len(paths)))
    while batch := list(islice(images, BATCH_IMAGES)):
        yield batch


def _named(path: Path, may_be_empty: bool = False) -> list[Path]:
    if not path.is_dir():
        return [path]
    images = [path / name for name in list_images(path)]
    if not images and not may_be_empty:
        raise UserError(f"no images in folder {path} ({', '.join(IMAGE_SUFFIXES)})")
    return images
