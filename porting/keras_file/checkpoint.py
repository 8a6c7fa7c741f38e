"""Reads a TensorFlow checkpoint: variables.index, a sorted table of entries, and variables.data-*.

The table is LevelDB's (tensorflow core/lib/io/table.cc): blocks of entries, each key sharing a prefix with
the one before, and a footer of 48 bytes that says where the block of blocks lies. TensorFlow writes it
uncompressed. An entry is a BundleEntryProto (core/protobuf/tensor_bundle.proto).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from porting.keras_file.problems import KerasFileError, shown
from porting.keras_file.protobuf import Message, read_varint
from porting.keras_file.stored import BFLOAT16, Bytes, StoredArray

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_MAXIMUM_INDEX_BYTES = 2**28
_MAXIMUM_SHARDS = 1000
_DAMAGED = "the checkpoint's index is damaged or cut off: save the model again"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# tensorflow core/framework/types.proto
_STRING = 7
_DTYPES = {
    1: "<f4",
    2: "<f8",
    3: "<i4",
    4: "|u1",
    5: "<i2",
    6: "|i1",
    9: "<i8",
    10: "|b1",
    14: BFLOAT16,
    17: "<u2",
    19: "<f2",
    22: "<u4",
    23: "<u8",
}


def read_checkpoint(prefix: Path) -> tuple[dict[str, StoredArray], bytes]:
    """The arrays of a checkpoint by their keys, and its object graph.

    Args:
        prefix: The files' name without ".index" and ".data-00000-of-00001".

    Raises:
        KerasFileError: A file is missing or damaged.
    """
    index = _open(prefix.with_name(f"{prefix.name}.index"))
    if index.size > _MAXIMUM_INDEX_BYTES:
        raise KerasFileError("the checkpoint's index is larger than any model's: it is not read")
    entries = list(_entries(bytes(index.read(0, index.size))))
    header = next((Message(value) for key, value in entries if key == ""), None)
    shards = header.number(1) if header is not None else 0
    if not 1 <= shards <= _MAXIMUM_SHARDS:
        raise KerasFileError(_DAMAGED)
    files = [
        _open(prefix.with_name(f"{prefix.name}.data-{shard:05}-of-{shards:05}")) for shard in range(shards)
    ]
    arrays, object_graph = {}, b""
    for key, value in entries:
        entry = Message(value)
        if key == "":
            continue
        if entry.number(3) >= shards:
            raise KerasFileError(_DAMAGED)
        file, offset, size = files[entry.number(3)], entry.number(4), entry.number(5)
        if entry.number(1) == _STRING:
            if key == OBJECT_GRAPH:
                object_graph = _one_string(file, offset, size)
            continue
        arrays[key] = _array(key, entry, file, offset, size)
    if not object_graph:
        raise KerasFileError("its checkpoint holds no object graph: save the model again")
    return arrays, object_graph


def _array(key: str, entry: Message, file: Bytes, offset: int, size: int) -> StoredArray:
    if entry.number(1) not in _DTYPES:
        raise KerasFileError(f"{shown(key)} holds no numbers that a weight can have")
    shape = tuple(axis.number(1) for each in entry.messages(2) for axis in each.messages(2))
    array = StoredArray(key, shape, _DTYPES[entry.number(1)], offset, file)
    if array.byte_count != size:
        raise KerasFileError(f"{shown(key)} {shape} claims {array.byte_count:,} bytes, and has {size:,}")
    return array


def _open(path: Path) -> Bytes:
    try:
        return Bytes(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        raise KerasFileError(
            f"{path.name} cannot be read ({error.strerror}): copy the whole folder"
        ) from error


def _one_string(file: Bytes, offset: int, size: int) -> bytes:
    """A tensor of one string: its length, a checksum of four bytes, the string."""
    if size > file.size:
        raise KerasFileError(_DAMAGED)
    stored = bytes(file.read(offset, size))
    length, place = read_varint(stored, 0)
    return stored[place + 4 : place + 4 + length]


def _entries(table: bytes) -> Iterator[tuple[str, bytes]]:
    footer = table[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise KerasFileError(_DAMAGED)
    _, _, place = _handle(footer, 0)
    start, size, _ = _handle(footer, place)
    for _, value in _block(table, start, size):
        start, size, _ = _handle(value, 0)
        for key, entry in _block(table, start, size):
            yield key.decode("utf-8", errors="replace"), entry


def _handle(encoded: bytes, place: int) -> tuple[int, int, int]:
    offset, place = read_varint(encoded, place)
    size, place = read_varint(encoded, place)
    return offset, size, place


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """A block's entries: shared and own length of the key, length of the value, then both."""
    block = table[start : start + size]
    compression = table[start + size : start + size + 1]
    if len(block) < max(size, 4) or len(compression) < 1:
        raise KerasFileError(_DAMAGED)
    if compression != b"\0":
        raise KerasFileError(
            "the checkpoint's index is compressed, which TensorFlow never does: save it again"
        )
    restarts = struct.unpack("<I", block[-4:])[0]
    end = size - 4 - 4 * restarts
    if end < 0:
        raise KerasFileError(_DAMAGED)
    key, place = b"", 0
    while place < end:
        shared, place = read_varint(block, place)
        own, place = read_varint(block, place)
        length, place = read_varint(block, place)
        if shared > len(key) or place + own + length > end:
            raise KerasFileError(_DAMAGED)
        key = key[:shared] + block[place : place + own]
        yield key, block[place + own : place + own + length]
        place += own + length
