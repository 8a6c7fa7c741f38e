"""A .keras file: a zip archive of config.json, metadata.json and model.weights.h5, read within bounds."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from porting.keras_file.json_text import MAXIMUM_BYTES
from porting.keras_file.problems import KerasFileError, shown
from porting.keras_file.stored import Bytes

SIGNATURE = b"PK\x03\x04"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MAXIMUM_ENTRIES = 10_000
# Random numbers do not shrink at all, constant ones a thousandfold; so do traps, which are large.
_MAXIMUM_RATIO = 100
_FREE_BYTES = 64 * 2**20
_DAMAGED = "save or copy the file again"


@dataclass(frozen=True)
class Archive:
    """What a .keras file holds.

    Attributes:
        config: config.json.
        metadata: metadata.json, empty where there is none.
        weights: model.weights.h5, copied to a file without a name.
    """

    config: bytes
    metadata: bytes
    weights: Bytes


def read_archive(file: Bytes) -> Archive:
    """Reads the three members; all others stay unread.

    Raises:
        KerasFileError: No sound zip archive, one with names that repeat or lead out of a folder, or one
            that unpacks to far more than it is.
    """
    try:
        with os.fdopen(os.dup(file.descriptor), "rb") as opened:
            return _read(opened, file.size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise KerasFileError(
            f"its zip archive is damaged or cut off ({shown(reason)}): {_DAMAGED}"
        ) from error


def _read(opened: BinaryIO, size: int) -> Archive:
    with zipfile.ZipFile(opened) as archive:
        _check(archive.infolist(), size)
        names = set(archive.namelist())
        if CONFIG not in names:
            raise KerasFileError(f"it is a zip archive without {CONFIG}: no Keras wrote it")
        if WEIGHTS not in names:
            raise KerasFileError(
                f"it holds no {WEIGHTS}: if the weights are in shards or npz files, save the model again "
                "with model.save(path)"
            )
        for name in (CONFIG, METADATA):
            if name in names and archive.getinfo(name).file_size > MAXIMUM_BYTES:
                raise KerasFileError(f"{name} is larger than any model's: it is not read")
        config = archive.read(CONFIG)
        metadata = archive.read(METADATA) if METADATA in names else b""
        return Archive(config, metadata, _copy(archive, WEIGHTS))


def _check(entries: list[zipfile.ZipInfo], archive_bytes: int) -> None:
    if len(entries) > _MAXIMUM_ENTRIES:
        raise KerasFileError(f"its zip archive has {len(entries)} entries: no Keras wrote it")
    met = set()
    for entry in entries:
        parts = entry.filename.replace("\\", "/").split("/")
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise KerasFileError(f'its zip entry "{shown(entry.filename)}" leads out of the archive: a trap')
        if entry.filename in met:
            raise KerasFileError(f'its zip entry "{shown(entry.filename)}" is there twice: no Keras wrote it')
        met.add(entry.filename)
        if entry.flag_bits & 1:
            raise KerasFileError(f'its zip entry "{shown(entry.filename)}" is encrypted: no Keras wrote it')
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > _FREE_BYTES + _MAXIMUM_RATIO * archive_bytes:
        raise KerasFileError(
            f"its {archive_bytes:,} bytes unpack to {unpacked:,}: a trap, or the zip archive is damaged"
        )


def _copy(archive: zipfile.ZipFile, name: str) -> Bytes:
    """A member in a file without a name, of not more bytes than the archive states."""
    with tempfile.TemporaryFile() as copy:
        with archive.open(name) as member:
            # ZipExtFile stops at the stated size and checks the checksum there.
            while chunk := member.read(2**20):
                copy.write(chunk)
        copy.flush()
        return Bytes(os.dup(copy.fileno()))
