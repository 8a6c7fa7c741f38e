"""Image folders to arrays and batches, by Keras's own code of the profile's generation."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_reference.config import DataSettings
from parity_common.cache_folder import STAND_IN_SEED, cache_root, stand_in_folder
from parity_common.class_folders import list_classes
from parity_common.command_errors import UserError
from parity_common.data_sources import source_folder
from parity_common.home_path import home_path
from parity_common.processors import granted_processors
from parity_common.progress import track
from parity_common.special_files import audit_command, refuse_special_files
from parity_common.subset import choose_subset

# A small file can claim a huge picture; the Lightning side refuses the same ones.
LARGEST_MEGAPIXELS = 100


@dataclass(frozen=True)
class Part:
    """Decoded images of one part of the split.

    Attributes:
        images: `(N, H, W, 3)` uint8 RGB, 0–255.
        labels: `(N,)` int64 class numbers.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class ImageFiles:
    """The files of a folder in Keras's order, after the subset.

    Attributes:
        class_names: In label order.
        paths: One an image, class by class.
        labels: One class number an image.
        is_validation: One flag an image.
    """

    class_names: list[str]
    paths: list[str]
    labels: NDArray[np.int64]
    is_validation: NDArray[np.bool_]

    def counts(self) -> dict[str, tuple[int, int]]:
        """By class, in label order: how many images train and how many validate."""
        validating = np.bincount(self.labels[self.is_validation], minlength=len(self.class_names))
        training = np.bincount(self.labels[~self.is_validation], minlength=len(self.class_names))
        pairs = zip(training.tolist(), validating.tolist(), strict=True)
        return dict(zip(self.class_names, pairs, strict=True))


def image_folder(settings: DataSettings) -> Path:
    """The folder to train on: `data.root`, or the set `data.source`, made where it is not there yet.

    Raises:
        UserError: The making was killed.
        SystemExit: The making refused or was stopped; it has said so in its one line.
    """
    if settings.root is not None:
        return home_path(settings.root)
    root = cache_root(settings.cache_dir)
    if settings.source == "stand_in":
        count = settings.stand_in_per_class
        folder = stand_in_folder(root, STAND_IN_SEED, count)
        arguments = ["stand_in", "--out", str(folder), "--images-per-class", str(count)]
        arguments += ["--seed", str(STAND_IN_SEED)]
    else:
        folder = source_folder(root, settings.source)
        arguments = ["sources", settings.source]
        if settings.cache_dir is not None:
            arguments += ["--cache-dir", settings.cache_dir]
    # A child, since this process must not import the torch side. It leaves a finished set as it is.
    command = [sys.executable, "-m", f"lightning_impl.data.{arguments[0]}", *arguments[1:]]
    code = subprocess.run(command, check=False).returncode
    if code > 0:
        # Its own line on standard error says why, or that it was stopped.
        sys.exit(code)
    if code < 0:
        raise UserError(f"making the set {folder} was killed (signal {-code}): start again")
    return folder


def list_files(profile: str, root: Path, settings: DataSettings) -> ImageFiles:
    """Lists a folder with ImageDataGenerator's own DirectoryIterator, then subsets and splits.

    Class order, suffixes and file order are the iterator's. The split is its rule too
    (keras-preprocessing 1.1.2 image/utils.py, `_list_valid_filenames_in_directory`): the first
    `int(validation_split * n)` files of a class validate. It is applied here because the subset goes first.

    Args:
        profile: tf2.4 lists with Keras-Preprocessing 1.1.2, keras3 with Keras 3.
        root: A folder of class folders.
        settings: The subset and the split.

    Raises:
        UserError: A class without images, or a part of the split without any image.
    """
    # Without `classes` the iterator sorts the folders itself: all the names, as they stand, are the same.
    classes = list_classes(root, settings.classes)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # It prints what it found, and warns of every .tiff.
        warnings.simplefilter("ignore")
        generator = image_module(profile).ImageDataGenerator()
        listing = generator.flow_from_directory(str(root), classes=list(classes), shuffle=False)
    refuse_special_files(root, listing.filenames)
    class_names = sorted(listing.class_indices, key=listing.class_indices.get)
    kept: list[int] = []
    is_validation: list[bool] = []
    for label, name in enumerate(class_names):
        places = np.flatnonzero(listing.classes == label)
        if len(places) == 0:
            suffixes = ", ".join(listing.white_list_formats)
            raise UserError(
                f"no images in class folder {root / name}: add some ({suffixes}) or remove the folder, "
                "which Keras counts as a class"
            )
        chosen = places[choose_subset(len(places), settings.subset_per_class, settings.subset_seed, label)]
        kept += chosen.tolist()
        validating = int(settings.validation_split * len(chosen))
        is_validation += [number < validating for number in range(len(chosen))]
    for flag, part in ((False, "training"), (True, "validation")):
        if flag not in is_validation:
            raise UserError(
                f"no {part} image: {root} has {len(kept)} images in {len(class_names)} classes and "
                f"data.validation_split is {settings.validation_split}; add images or change the split"
            )
    return ImageFiles(
        class_names,
        [listing.filepaths[place] for place in kept],
        listing.classes[kept].astype(np.int64),
        np.array(is_validation),
    )


def decode_files(
    profile: str, root: Path, files: ImageFiles, image_size: tuple[int, int]
) -> tuple[Part, Part]:
    """Decodes every image once, with the generation's own `load_img` and nearest resizing.

    Args:
        profile: Whose `load_img`.
        root: The folder of class folders.
        files: What to decode.
        image_size: Height and width in pixels.

    Returns:
        Training and validation.

    Raises:
        UserError: An image does not decode, or memory does not suffice.
    """
    from PIL import Image

    load_img = image_module(profile).load_img
    more = f"all such files are listed by {audit_command(root)}"
    # Pillow raises above twice this figure.
    Image.MAX_IMAGE_PIXELS = LARGEST_MEGAPIXELS * 1_000_000 // 2
    count = len(files.paths)
    try:
        images = np.empty((count, *image_size, 3), dtype=np.uint8)
    except MemoryError as error:
        raise UserError(
            f"{count} images of {image_size} do not fit in memory: lower data.image_size"
        ) from error

    def decode(place: int) -> None:
        path = files.paths[place]
        try:
            images[place] = np.asarray(load_img(path, target_size=image_size))
        except Image.DecompressionBombError as error:
            raise UserError(
                f"image file {path} claims more than {LARGEST_MEGAPIXELS} megapixels: shrink or remove "
                f"it; {more}"
            ) from error
        except Exception as error:
            # Pillow's decoders raise many kinds on damaged files: OSError, SyntaxError, struct.error ...
            raise UserError(
                f"image file {path} does not decode ({error}): replace or remove it; {more}"
            ) from error

    with warnings.catch_warnings():
        # Odd EXIF, palettes with transparency, sizes below the limit: none changes the pixels.
        warnings.simplefilter("ignore")
        # Threads suffice: Pillow decodes and resizes without the interpreter's lock.
        with ThreadPool(granted_processors()) as pool:
            for _ in track("decoding")(pool.imap_unordered(decode, range(count), chunksize=8), count):
                pass
    training, validation = ~files.is_validation, files.is_validation
    return Part(images[training], files.labels[training]), Part(images[validation], files.labels[validation])


def image_module(profile: str) -> Any:
    """Where a generation's ImageDataGenerator and `load_img` are found."""
    if profile == "keras3":
        # What tensorflow.keras.preprocessing.image is, without asking an environment variable.
        return import_module("keras._tf_keras.keras.preprocessing.image")
    # DirectoryIterator 1.1.2 looks for tensorflow.keras, which is Keras 3 unless this says tf_keras.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    return import_module("keras_preprocessing.image")
