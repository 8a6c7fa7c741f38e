"""What a frozen backbone makes of every image, kept on disk so that it is worked out once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lightning_impl.data.processes import only_one
from parity_common.command_errors import UserError
from parity_common.run_folder import write_text_atomically
from parity_common.write_errors import how_to_write

FEATURES_FILE = "features.npy"
# Grows by chunks while they are worked out; whoever comes next goes on behind the last but one.
PART_FILE = "features.npy.part"
MANIFEST_FILE = "manifest.json"

Track = Callable[[Iterable, int], Iterable]


def open_features(
    folder: Path,
    manifest: str,
    shape: tuple[int, int],
    dtype: np.dtype,
    compute: Callable[[int, int], NDArray],
    chunk: int,
    track: Track = lambda items, total: items,
    end_if_asked: Callable[[], None] = lambda: None,
) -> NDArray:
    """The features that `manifest` describes, read from the cache or worked out into it.

    What was worked out before a stop is kept. Starts at the same time wait for the one that works.

    Args:
        folder: Where such caches lie; this manifest's gets a folder of its own in it.
        manifest: All that the features hang on.
        shape: Of the result, `(N, C)`.
        dtype: Of the result.
        compute: Takes the numbers of the first image and of the one behind the last, and gives their rows.
        chunk: Images at a time.
        track: Wraps the iteration over images, for a progress bar.
        end_if_asked: Called between chunks and while another start works: raises where this one is to end.

    Returns:
        `shape`, mapped read-only.

    Raises:
        UserError: The cache cannot be written.
    """
    place = folder / hashlib.sha256(manifest.encode()).hexdigest()[:16]
    size = f"{shape[0] * shape[1] * dtype.itemsize / 2**20:,.0f} MiB"
    try:
        place.mkdir(parents=True, exist_ok=True)
        waiting = f"waiting for another start that works out the features in {place}"
        with only_one(place, waiting, end_if_asked):
            features = _open_if_whole(place / FEATURES_FILE, shape, dtype)
            if features is None:
                write_text_atomically(place / MANIFEST_FILE, manifest)
                with (place / PART_FILE).open("a+b") as file:
                    _work_out(file, shape, dtype, compute, chunk, track, end_if_asked)
                (place / PART_FILE).replace(place / FEATURES_FILE)
                features = _open_if_whole(place / FEATURES_FILE, shape, dtype)
    except OSError as error:
        raise UserError(
            f"cannot write the features {place} ({error.strerror}): they take {size}; "
            f"{how_to_write(error)}, choose another with data.cache_dir, or give --data.cache_features false"
        ) from error
    if features is None:
        raise UserError(f"the features {place} changed while they were made: start again")
    return features


def _open_if_whole(path: Path, shape: tuple[int, int], dtype: np.dtype) -> NDArray | None:
    """The file's features; None where it is missing, cut off, or not what is asked for."""
    try:
        features = np.load(path, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return features if (features.shape, features.dtype) == (shape, dtype) else None


def _work_out(
    file: BinaryIO,
    shape: tuple[int, int],
    dtype: np.dtype,
    compute: Callable[[int, int], NDArray],
    chunk: int,
    track: Track,
    end_if_asked: Callable[[], None],
) -> None:
    row = shape[1] * dtype.itemsize
    start = _header(file, shape, dtype)
    # The last chunk may have been torn in the middle of its write.
    done = max((file.seek(0, os.SEEK_END) - start) // row // chunk - 1, 0) * chunk
    file.truncate(start + done * row)
    images = iter(track(range(shape[0]), shape[0]))
    try:
        for _ in range(done):
            next(images)
        for first in range(done, shape[0], chunk):
            end_if_asked()
            last = min(first + chunk, shape[0])
            file.write(np.ascontiguousarray(compute(first, last), dtype).tobytes())
            _to_disk(file)
            for _ in range(first, last):
                next(images)
        next(images, None)
    finally:
        # A progress bar ends before anything else is said.
        if hasattr(images, "close"):
            images.close()


def _header(file: BinaryIO, shape: tuple[int, int], dtype: np.dtype) -> int:
    """Leaves a file with the header of these features, what stands behind the same one kept; its length."""
    file.seek(0)
    try:
        npy.read_magic(file)
        found = npy.read_array_header_1_0(file)
        if found == (shape, False, dtype):
            return file.tell()
    except ValueError:
        # Not even a header was written.
        pass
    file.truncate(0)
    content = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, content)
    _to_disk(file)
    return file.tell()


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
