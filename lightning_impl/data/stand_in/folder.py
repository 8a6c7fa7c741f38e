"""The set's folder: its manifest, its file names, what is missing in it, and when it is refused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lightning_impl.data.stand_in.draw import MOST_IMAGES_PER_CLASS
from lightning_impl.data.stand_in.objects import CLASS_NAMES
from parity_common.command_errors import UserError

try:
    import fcntl
except ImportError:  # Windows: two commands at once in one folder then draw the same images twice.
    fcntl = None

# Rises whenever an image changes, so that a folder is never half of one drawing and half of another.
GENERATOR_VERSION = 1

MANIFEST_NAME = "stand_in.json"
LOCK_NAME = ".stand_in.lock"
TEMPORARY_SUFFIX = ".drawing"
# The workers of a killed process end within this; waiting for them is not worth a line.
SILENT_WAIT_SECONDS = 1.0
# What a worker that cannot write exits with.
EXIT_CANNOT_WRITE = 3

Image = tuple[int, int]
"""A class's index and the image's number."""


def image_name(index: int, number: int) -> str:
    """An image's path below the set's folder, such as `anchor/anchor_0001.jpg`."""
    return f"{CLASS_NAMES[index]}/{CLASS_NAMES[index]}_{number:04d}.jpg"


def check_images_per_class(images_per_class: int) -> int:
    """The number of images a class.

    Raises:
        UserError: It is not 1 to 9999.
    """
    if not 1 <= images_per_class <= MOST_IMAGES_PER_CLASS:
        raise UserError(f"images per class must be 1 to {MOST_IMAGES_PER_CLASS}, not {images_per_class}")
    return int(images_per_class)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file under a temporary name and renames it: under its own name it is always whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def check_folder(out: Path, seed: int) -> None:
    """Refuses a folder that is not, and cannot become, this set's; writes nothing.

    Raises:
        UserError: It holds something else, or another seed's or generator's images, or cannot be read.
    """
    remedy = "give another folder or remove this one"
    try:
        # Hidden names are this package's temporary files and the operating system's litter.
        names = sorted(name for name in os.listdir(out) if not name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(out, error) from error
    if MANIFEST_NAME not in names:
        if names:
            raise UserError(f'{out} is no stand-in set, it holds "{names[0]}": give a new or an empty folder')
        return
    manifest = _read_manifest(out, remedy)
    if manifest["generator_version"] != GENERATOR_VERSION:
        theirs = manifest["generator_version"]
        raise UserError(
            f"{out} was drawn by generator version {theirs}, this is {GENERATOR_VERSION}: {remedy}"
        )
    if manifest["seed"] != seed:
        raise UserError(f"{out} was drawn with seed {manifest['seed']}, not {seed}: {remedy}")
    for name in names:
        if name != MANIFEST_NAME and name not in CLASS_NAMES:
            raise UserError(
                f'{out} holds "{name}", which is not of the stand-in set: move it away, or {remedy}'
            )


def make_folder(out: Path, seed: int) -> None:
    """Writes the manifest, if it is not there yet, and then the class folders.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        if not (out / MANIFEST_NAME).exists():
            write_whole(out / MANIFEST_NAME, _manifest(seed))
        for name in CLASS_NAMES:
            (out / name).mkdir(exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error


def remove_temporary_files(out: Path) -> None:
    """Removes what stopped or killed processes left half written."""
    for folder in (out, *(out / name for name in CLASS_NAMES)):
        for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
            path.unlink(missing_ok=True)


def cannot_write(out: Path, error: OSError) -> UserError:
    """The line for a folder that cannot be written."""
    return UserError(
        f"cannot write the stand-in set to {out}: {error.strerror}: give another folder or mend this one"
    )


def missing_images(out: Path, images_per_class: int) -> list[Image]:
    """The images still to draw, number by number.

    Raises:
        UserError: The folder holds foreign files, or more images a class than asked for.
    """
    missing = []
    for index, name in enumerate(CLASS_NAMES):
        present = _present(out / name)
        most = max(present, default=0)
        if most > images_per_class:
            raise UserError(
                f"{out} already holds {most} images per class, {images_per_class} were asked for: "
                f"ask for {most}, or give another folder"
            )
        missing += [(index, number) for number in range(1, images_per_class + 1) if number not in present]
    return sorted(missing, key=lambda image: (image[1], image[0]))


def _present(folder: Path) -> set[int]:
    """The numbers of the images a class folder holds."""
    is_image = re.compile(rf"{folder.name}_(\d{{4}})\.jpg")
    present = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                match = is_image.fullmatch(entry.name)
                if not match:
                    raise UserError(
                        f"{entry.path} is not of the stand-in set: move it away, or give another folder"
                    )
                # An empty file is what a power cut leaves of a rename that was never written out.
                if entry.stat().st_size:
                    present.add(int(match[1]))
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise cannot_write(folder, error) from error
    return present


@contextlib.contextmanager
def locked(out: Path) -> Iterator[tuple[int, ...]]:
    """Keeps a second process out of the folder while one draws into it; it waits, and then finds all drawn.

    Gives the file descriptors the workers must inherit: the system lets go of the lock when the last process
    that has it ends, however it ends, so that nobody meets a killed process's workers at their last image.
    """
    if fcntl is None:
        yield ()
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = open(out / LOCK_NAME, "ab")  # noqa: SIM115 - closed by the with below
    except OSError as error:
        raise cannot_write(out, error) from error
    with lock:
        # Some network file systems have no locks; drawing twice is then a waste, not a fault.
        with contextlib.suppress(OSError):
            _wait_for(lock, out)
        yield (lock.fileno(),)


def _wait_for(lock: BinaryIO, out: Path) -> None:
    end = time.monotonic() + SILENT_WAIT_SECONDS
    while time.monotonic() < end:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
    print(f"waiting for another process that draws into {out}", file=sys.stderr, flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)


def _manifest(seed: int) -> bytes:
    content = {"generator_version": GENERATOR_VERSION, "seed": seed}
    return (json.dumps(content, indent=2) + "\n").encode()


def _read_manifest(out: Path, remedy: str) -> dict:
    try:
        manifest = json.loads((out / MANIFEST_NAME).read_bytes())
        return {name: int(manifest[name]) for name in ("generator_version", "seed")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{out / MANIFEST_NAME} is not a stand-in manifest: {remedy}") from error
