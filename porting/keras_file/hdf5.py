"""The structure of an HDF5 file, seen through a child process that may crash or hang in our stead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from porting.keras_file.problems import KerasFileError, shown
from porting.keras_file.stored import DTYPES, Bytes, StoredArray

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The child's own bound is processor time, of which a busy machine gives it less.
WALL_SECONDS = 30
_CHILD = Path(__file__).with_name("hdf5_child.py")
_DAMAGED = "save or copy it again"


@dataclass(frozen=True)
class Hdf5Contents:
    """What an HDF5 file holds.

    Attributes:
        attributes: Group path ("" is the root) to name to a string, a whole number or a list of strings.
        arrays: Path to array, in the file's order.
    """

    attributes: dict[str, dict[str, Any]]
    arrays: dict[str, StoredArray]


def read_hdf5(file: Bytes) -> Hdf5Contents:
    """Looks through an HDF5 file in a child process.

    Raises:
        KerasFileError: The child refuses it, crashes, or passes its bounds of time and memory.
    """
    if file.read(0, min(8, file.size)) != SIGNATURE:
        raise KerasFileError(f"it is no HDF5 file: {_DAMAGED}")
    with tempfile.TemporaryFile() as scratch:
        answer = _ask_child(file.descriptor, scratch.fileno())
        return contents_of(answer, file, Bytes(os.dup(scratch.fileno())))


def contents_of(answer: dict[str, Any], file: Bytes, scratch: Bytes) -> Hdf5Contents:
    """The child's answer with the places of its arrays in `file` and `scratch`.

    Raises:
        KerasFileError: The answer is an error.
    """
    if "error" in answer:
        raise KerasFileError(f"{shown_line(answer['error'])}: {_DAMAGED}")
    arrays = {}
    for said in answer["arrays"]:
        if said["dtype"] not in DTYPES:
            raise KerasFileError(f"{shown(said['path'])} holds {said['dtype']}, which no weight is")
        arrays[said["path"]] = StoredArray(
            said["path"],
            tuple(said["shape"]),
            said["dtype"],
            said["offset"],
            scratch if said["in_scratch"] else file,
        )
    return Hdf5Contents(answer["attributes"], arrays)


def shown_line(message: str) -> str:
    """A message that quotes a file, cut to one readable line."""
    line = "".join(character if character.isprintable() else " " for character in message)
    return line[:240] + ("…" if len(line) > 240 else "")


def _ask_child(file: int, scratch: int) -> dict[str, Any]:
    # The child's file position is its own: h5py seeks.
    os.lseek(file, 0, os.SEEK_SET)
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_CHILD), str(file), str(scratch)],
            pass_fds=(file, scratch),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WALL_SECONDS,
            # Threads would count as memory; a file must not make the library load code.
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KerasFileError(f"it keeps the HDF5 library busy without end: {_DAMAGED}") from error
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise KerasFileError(f"it keeps the HDF5 library busy without end: {_DAMAGED}")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise KerasFileError(f"the HDF5 library crashes on it ({name}): {_DAMAGED}")
    if done.returncode > 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise KerasFileError(f"the HDF5 library cannot be used ({shown_line(said[-1])}): reinstall h5py")
    return json.loads(done.stdout)
