"""Reads the structure of an HDF5 file; run as a process of its own, since the HDF5 library can crash.

With h5py 3.14 one mutated file in a thousand ends the process (a segmentation fault), and two in a thousand
keep it busy for ever. So a child looks at the file, and what it says is small: names, shapes, and WHERE in
the file each array lies. The arrays are then read by their place, without the library. Only an array that is
compressed or in pieces is decoded here, into a scratch file.

    python -I hdf5_child.py FILE_DESCRIPTOR SCRATCH_DESCRIPTOR

writes one JSON object to standard output: {"attributes", "arrays"} or {"error"}. Needs only h5py.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any

import h5py
import numpy as np

CPU_SECONDS = 5
MEMORY_BYTES = 2 * 2**30
SCRATCH_BYTES = 4 * 2**30
MAXIMUM_OBJECTS = 200_000
MAXIMUM_DEPTH = 64
MAXIMUM_ATTRIBUTE_BYTES = 64 * 2**20
# zlib cannot reach it.
MAXIMUM_COMPRESSION = 1100


class RefusedError(Exception):
    """The file is no Keras file's HDF5, or a trap. The message is one line."""


def describe(file: IO[bytes], scratch: IO[bytes]) -> dict[str, Any]:
    """What an HDF5 file holds.

    Args:
        file: The file, open for reading.
        scratch: An empty file; arrays that must be decoded are written to it.

    Returns:
        "attributes": group path to name to a string, a number, or a list of strings, all others left out.
        "arrays": {"path", "shape", "dtype", "offset", "in_scratch"} each.

    Raises:
        RefusedError: Links out of the file, arrays outside of it or larger than it, too many objects.
        Exception: Whatever h5py raises of a damaged file.
    """
    size = os.fstat(file.fileno()).st_size
    with h5py.File(file, "r") as opened:
        return _Description(opened, size, scratch).said


class _Description:
    def __init__(self, opened: h5py.File, file_bytes: int, scratch: IO[bytes]) -> None:
        self.attributes: dict[str, dict[str, Any]] = {}
        self.arrays: list[dict[str, Any]] = []
        self._file_bytes = file_bytes
        self._scratch = scratch
        self._attribute_bytes = 0
        self._stored_bytes = 0
        self._met: set[int] = set()
        self._walk(opened, "", 0)
        self.said = {"attributes": self.attributes, "arrays": self.arrays}

    def _walk(self, group: h5py.Group, path: str, depth: int) -> None:
        if depth > MAXIMUM_DEPTH:
            raise RefusedError(f"its groups lie more than {MAXIMUM_DEPTH} deep")
        self._meet(group, path)
        self.attributes[path] = self._attributes(group, path)
        for name in _texts(group, path):
            inner = f"{path}/{name}" if path else name
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(f"{inner} is a link, perhaps out of the file: Keras writes none")
            thing = group[name]
            if isinstance(thing, h5py.Dataset):
                self._meet(thing, inner)
                self.arrays.append(self._array(thing, inner))
            elif isinstance(thing, h5py.Group):
                self._walk(thing, inner, depth + 1)
            else:
                raise RefusedError(f"{inner} is neither a group nor an array")

    def _meet(self, thing: h5py.HLObject, path: str) -> None:
        address = h5py.h5o.get_info(thing.id).addr
        if address in self._met:
            raise RefusedError(f"{path or 'the root'} lies in two places: Keras writes no such thing")
        self._met.add(address)
        if len(self._met) > MAXIMUM_OBJECTS:
            raise RefusedError(f"it holds more than {MAXIMUM_OBJECTS} groups and arrays")

    def _attributes(self, group: h5py.HLObject, path: str) -> dict[str, Any]:
        found = {}
        for name in _texts(group.attrs, path):
            attribute = group.attrs.get_id(name)
            self._attribute_bytes += attribute.get_type().get_size() * math.prod(attribute.shape or (0,))
            if self._attribute_bytes > MAXIMUM_ATTRIBUTE_BYTES:
                raise RefusedError(f"attribute {name} of {path or 'the root'} is larger than any of Keras's")
            value = _plain(group.attrs[name])
            if value is not None:
                found[name] = value
        return found

    def _array(self, array: h5py.Dataset, path: str) -> dict[str, Any]:
        if array.is_virtual or array.external:
            raise RefusedError(f"{path} keeps its numbers in another file")
        if array.shape is None:
            raise RefusedError(f"{path} holds no numbers")
        said = {"path": path, "shape": list(array.shape), "dtype": _dtype(array, path)}
        stored = array.id.get_storage_size()
        self._stored_bytes += stored
        # h5py's own nbytes overflows.
        claimed = math.prod(array.shape) * array.dtype.itemsize
        compression = MAXIMUM_COMPRESSION if array.chunks else 1
        if claimed > stored * compression or self._stored_bytes > self._file_bytes:
            raise RefusedError(
                f"{path} {array.shape} claims {claimed:,} bytes, of which {stored:,} are said to be stored"
            )
        offset = array.id.get_offset()
        if claimed == 0 or (offset is not None and not array.chunks):
            return said | {"offset": offset or 0, "in_scratch": False}
        return said | {"offset": self._decode(array, claimed), "in_scratch": True}

    def _decode(self, array: h5py.Dataset, byte_count: int) -> int:
        offset = self._scratch.tell()
        # Row by row, but not thousands of tiny reads: 16 MB at a time.
        rows = max(1, 2**24 * array.shape[0] // byte_count) if array.shape else 0
        for start in range(0, array.shape[0], rows) if array.shape else [None]:
            part = array[()] if start is None else array[start : start + rows]
            self._scratch.write(np.ascontiguousarray(part).tobytes())
        return offset


def _texts(names: Iterable[object], path: str) -> Iterator[str]:
    """The names, which h5py gives as bytes where they are no UTF-8."""
    for name in names:
        if not isinstance(name, str) or not name.isprintable():
            raise RefusedError(f"{path or 'the root'} holds a name that is no text: it is damaged")
        yield name


def _dtype(array: h5py.Dataset, path: str) -> str:
    if array.attrs.get("dtype") == "bfloat16" and array.dtype.itemsize == 2:
        return "bfloat16"
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise RefusedError(f"{path} holds {array.dtype}, no numbers")
    return "|b1" if array.dtype.kind == "b" else array.dtype.str


def _plain(value: object) -> str | int | list[str] | None:
    """A string, whole number or list of strings; None for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "SOU":
        return [item if isinstance(item, str) else bytes(item).decode("utf-8", "replace") for item in value]
    # Keras 3 writes an empty list of names as an empty array of float64.
    return [] if isinstance(value, np.ndarray) and value.shape == (0,) else None


def answer_to(file: IO[bytes], scratch: IO[bytes]) -> dict[str, Any]:
    """What `describe` returns, or {"error"}."""
    try:
        said = describe(file, scratch)
        scratch.flush()
        return said
    except RefusedError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": "it needs more memory than any model's structure"}
    # h5py raises half a dozen kinds of error of a damaged file, RuntimeError among them.
    except Exception as error:
        return {"error": f"it is damaged or cut off (HDF5: {error})"}


def main() -> None:
    """Answers on standard output, within bounds."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (SCRATCH_BYTES, SCRATCH_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    file, scratch = (
        os.fdopen(int(number), mode) for number, mode in zip(sys.argv[1:], ("rb", "wb"), strict=True)
    )
    json.dump(answer_to(file, scratch), sys.stdout)


if __name__ == "__main__":
    main()
