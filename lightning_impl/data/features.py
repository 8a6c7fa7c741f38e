"""What a frozen backbone makes of every image, kept on disk so that it is worked out once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_impl.data.processes import only_one
from parity_common.command_errors import UserError
from parity_common.run_folder import write_text_atomically
from parity_common.write_errors import how_to_write

FEATURES_FILE = "features.npy"
# Grows by whole rows while they are worked out; whoever comes next goes on behind the last whole one.
PART_FILE = "features.npy.part"
MANIFEST_FILE = "manifest.json"
# Images at a time: as large a batch as a training has.
CHUNK_IMAGES = 32

Track = Callable[[Iterable, int], Iterable]


def open_features(
    folder: Path,
    manifest: str,
    shape: tuple[int, int],
    dtype: np.dtype,
    compute: Callable[[int, int], NDArray],
    track: Track = lambda items, total: items,
) -> NDArray:
    """The features that `manifest` describes, read from the cache or worked out into it.

    What was worked out before a stop is kept. Starts at the same time wait for the one that works.

    Args:
        folder: Where such caches lie; this manifest's gets a folder of its own in it.
        manifest: All that the features hang on.
        shape: Of the result, `(N, C)`.
        dtype: Of the result.
        compute: Takes the numbers of the first image and of the one behind the last, at most CHUNK_IMAGES
            later, and gives their rows.
        track: Wraps the iteration over images, for a progress bar.

    Returns:
        `shape`, mapped read-only.

    Raises:
        UserError: The cache cannot be written.
    """
    place = folder / hashlib.sha256(manifest.encode()).hexdigest()[:16]
    size = f"{shape[0] * shape[1] * dtype.itemsize / 2**20:,.0f} MiB"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with only_one(place, f"waiting for another start that works out the features in {place}"):
            if not (place / FEATURES_FILE).exists():
                write_text_atomically(place / MANIFEST_FILE, manifest)
                _work_out(place / PART_FILE, shape, dtype, compute, track)
                (place / PART_FILE).rename(place / FEATURES_FILE)
            return np.load(place / FEATURES_FILE, mmap_mode="r")
    except OSError as error:
        raise UserError(
            f"cannot write the features {place} ({error.strerror}): they take {size}; "
            f"{how_to_write(error)}, choose another with data.cache_dir, or give --data.cache_features false"
        ) from error


def _work_out(
    part: Path,
    shape: tuple[int, int],
    dtype: np.dtype,
    compute: Callable[[int, int], NDArray],
    track: Track,
) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    row = shape[1] * dtype.itemsize
    with part.open("ab") as file:
        if file.tell() == 0:
            np.lib.format.write_array_header_1_0(file, header)
            file.flush()
        with part.open("rb") as written:
            np.lib.format.read_magic(written)
            np.lib.format.read_array_header_1_0(written)
            start = written.tell()
        done = (file.tell() - start) // row
        file.truncate(start + done * row)
        file.seek(0, 2)
        images = iter(track(range(shape[0]), shape[0]))
        for _ in range(done):
            next(images)
        for first in range(done, shape[0], CHUNK_IMAGES):
            last = min(first + CHUNK_IMAGES, shape[0])
            file.write(np.ascontiguousarray(compute(first, last), dtype).tobytes())
            file.flush()
            for _ in range(first, last):
                next(images)
        # Lets a progress bar end.
        next(images, None)
