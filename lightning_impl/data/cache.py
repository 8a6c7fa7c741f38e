"""Every image of an index decoded once, as one uint8 array on disk that each run maps."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_impl.data.decode import DECODE_RULE, decode_image
from lightning_impl.data.index import ImageIndex
from lightning_impl.data.processes import map_in_processes, only_one
from parity_common.command_errors import UserError
from parity_common.run_folder import write_atomically, write_text_atomically

IMAGES_FILE = "images.npy"
MANIFEST_FILE = "manifest.json"


def open_cache(
    index: ImageIndex,
    image_size: tuple[int, int],
    folder: Path,
    track: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> NDArray[np.uint8]:
    """The decoded images of `index`, read from the cache or decoded into it.

    A cache is used only if its manifest names the same files (with their sizes and modification times),
    the same image size and the same decoding rule; else it is decoded anew. Starts at the same time wait
    for the one that decodes.

    Args:
        index: What to decode; row i of the result is `index.files[i]`.
        image_size: Height and width in pixels.
        folder: Where caches lie; this index's gets a folder of its own in it.
        track: Wraps the iteration over images, for a progress bar.

    Returns:
        `(N, height, width, 3)` RGB, 0–255, mapped read-only.

    Raises:
        UserError: An image does not decode, or the cache cannot be written.
    """
    manifest = _manifest(index, image_size)
    key = hashlib.sha256(f"{index.root.resolve()} {image_size} {len(index.files)}".encode()).hexdigest()[:12]
    place = folder / f"{index.root.resolve().name}-{image_size[0]}x{image_size[1]}-{key}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with only_one(place):
            images = _open_if_same(place, manifest)
            if images is None:
                _decode_into(place, index, image_size, manifest, track)
                images = _open_if_same(place, manifest)
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {place} ({error.strerror}): choose another with data.cache_dir"
        ) from error
    if images is None:
        raise UserError(f"the image cache {place} changed while it was made: start again")
    return images


def _manifest(index: ImageIndex, image_size: tuple[int, int]) -> str:
    files = []
    for name in index.files:
        try:
            state = os.stat(index.root / name)
        except OSError as error:
            raise UserError(f"image file {index.root / name}: {error.strerror}") from error
        files.append([name, state.st_size, state.st_mtime_ns])
    content = {"rule": DECODE_RULE, "image_size": image_size, "files": files}
    return json.dumps(content, separators=(",", ":"))


def _open_if_same(place: Path, manifest: str) -> NDArray[np.uint8] | None:
    try:
        if (place / MANIFEST_FILE).read_text(encoding="utf-8") != manifest:
            return None
        return np.load(place / IMAGES_FILE, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None


def _decode_into(
    place: Path,
    index: ImageIndex,
    image_size: tuple[int, int],
    manifest: str,
    track: Callable[[Iterable, int], Iterable],
) -> None:
    # The manifest vouches for the images: gone first, written last.
    (place / MANIFEST_FILE).unlink(missing_ok=True)
    for leftover in place.glob(".*.part"):
        leftover.unlink(missing_ok=True)

    def write(temporary: Path) -> None:
        shape = (len(index.files), *image_size, 3)
        images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for row, pixels in enumerate(track(_decoded(index, image_size), len(index.files))):
            images[row] = pixels
        images.flush()

    write_atomically(place / IMAGES_FILE, write)
    write_text_atomically(place / MANIFEST_FILE, manifest)


def _decoded(index: ImageIndex, image_size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    paths = [index.root / name for name in index.files]
    return map_in_processes(partial(decode_image, image_size=image_size), paths)
