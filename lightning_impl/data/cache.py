"""Every image of an index decoded once, as one uint8 array on disk that each run maps."""

from __future__ import annotations

import errno
import hashlib
import json
import math
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
from parity_common.write_errors import how_to_write

IMAGES_FILE = "images.npy"
DIGESTS_FILE = "digests.npy"
MANIFEST_FILE = "manifest.json"


def open_cache(
    index: ImageIndex,
    image_size: tuple[int, int],
    folder: Path,
    track: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> NDArray[np.uint8]:
    """The decoded images of `index`, read from the cache or decoded into it.

    A cache is used only if its manifest names the same files (with their sizes and the times of their last
    change), the same image size and the same decoding rule; else it is decoded anew. Starts at the same time
    wait for the one that decodes.

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
    place = _place(index, image_size, folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with only_one(place):
            images = _open_if_same(place, manifest)
            if images is None:
                _decode_into(place, index, image_size, manifest, track)
                images = _open_if_same(place, manifest)
    except OSError as error:
        raise UserError(
            f"cannot write the image cache {place} ({error.strerror}): it takes "
            f"{_size(index, image_size)}; {how_to_write(error)} or choose another with data.cache_dir"
        ) from error
    if images is None:
        raise UserError(f"the image cache {place} changed while it was made: start again")
    return images


def open_digests(index: ImageIndex, image_size: tuple[int, int], folder: Path) -> NDArray[np.uint64]:
    """`(N,)` `pixel_digest` of each image that `open_cache` gives; arguments as there, and called before."""
    return np.load(_place(index, image_size, folder) / DIGESTS_FILE)


def pixel_digest(pixels: NDArray[np.uint8]) -> int:
    """64 bits that are equal for equal pixels `(H, W, 3)`, whatever the file is called or how it is coded."""
    return int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), "little")


def _place(index: ImageIndex, image_size: tuple[int, int], folder: Path) -> Path:
    root = index.root.resolve()
    key = hashlib.sha256(f"{root} {image_size} {len(index.files)}".encode()).hexdigest()[:12]
    return folder / f"{root.name}-{image_size[0]}x{image_size[1]}-{key}"


def _size(index: ImageIndex, image_size: tuple[int, int]) -> str:
    return f"{len(index.files) * image_size[0] * image_size[1] * 3 / 2**20:,.0f} MiB"


def _manifest(index: ImageIndex, image_size: tuple[int, int]) -> str:
    files = []
    for name in index.files:
        try:
            state = os.stat(index.root / name)
        except OSError as error:
            raise UserError(f"image file {index.root / name}: {error.strerror}") from error
        # A copy may keep the time of modification (cp -p, tar, rsync -t); nobody can set that of the change.
        files.append([name, state.st_size, state.st_mtime_ns, state.st_ctime_ns])
    content = {"rule": DECODE_RULE, "image_size": image_size, "files": files}
    return json.dumps(content, separators=(",", ":"))


def _open_if_same(place: Path, manifest: str) -> NDArray[np.uint8] | None:
    try:
        if (place / MANIFEST_FILE).read_text(encoding="utf-8") != manifest:
            return None
        images = np.load(place / IMAGES_FILE, mmap_mode="r")
        # Without them it was made by an older version.
        digests = np.load(place / DIGESTS_FILE)
        return images if len(images) == len(digests) else None
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

    digests: list[int] = []

    def write(temporary: Path) -> None:
        shape = (len(index.files), *image_size, 3)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        # Written, not mapped: a mapped file on a full disk ends the process with a bus error.
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.flush()
            _reserve(file.fileno(), file.tell() + math.prod(shape))
            for pixels in track(_decoded(index, image_size), len(index.files)):
                file.write(pixels.tobytes())
                digests.append(pixel_digest(pixels))

    write_atomically(place / IMAGES_FILE, write)
    write_atomically(place / DIGESTS_FILE, partial(_write_digests, digests))
    write_text_atomically(place / MANIFEST_FILE, manifest)


def _write_digests(digests: list[int], temporary: Path) -> None:
    with temporary.open("wb") as file:
        np.save(file, np.array(digests, dtype=np.uint64))


def _reserve(descriptor: int, size: int) -> None:
    """Finds out that a disk is too small before hours of decoding, where the system can say so."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except AttributeError:
        # macOS has none.
        return
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def _decoded(index: ImageIndex, image_size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    paths = [index.root / name for name in index.files]
    return map_in_processes(partial(decode_image, image_size=image_size), paths)
