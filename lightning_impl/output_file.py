"""What a command leaves: refused before the work where it cannot be written, whole or absent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from parity_common.command_errors import UserError
from parity_common.file_modes import give_usual_mode
from parity_common.run_folder import write_atomically
from parity_common.write_errors import is_without_room, why_not_written

SUFFIXES = (".csv", ".json")


def check_output(path: Path) -> None:
    """Refuses a file that could not be written, or of a form that is not known.

    Raises:
        UserError: Names the remedy.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"--out {path} has no known suffix: one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise UserError(f"--out {path} is a folder: give a file")
    _check_parent(path)


def check_new_folder(path: Path) -> None:
    """Refuses a folder that is there or could not be made.

    Raises:
        UserError: Names the remedy.
    """
    if path.exists() or path.is_symlink():
        raise UserError(f"{path} exists: choose another --out, or remove it")
    _check_parent(path)


def write_output(path: Path, write: Callable[[Path], object]) -> None:
    """`write_atomically`, with one line where there is no room.

    Raises:
        UserError: The file cannot be written; an old one is kept.
    """
    try:
        write_atomically(path, write)
    except OSError as error:
        raise UserError(f"could not write {path} ({error.strerror}): give another --out") from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, beside `path`, which is moved there at the end if nothing was raised.

    Args:
        path: Which does not exist.

    Raises:
        UserError: It cannot be written; nothing is left of it.
    """
    try:
        temporary = Path(
            tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name}.", suffix=".part")
        )
        try:
            yield temporary
            # safetensors makes files that nobody else may read.
            for written in temporary.iterdir():
                give_usual_mode(written)
            give_usual_mode(temporary)
            os.rename(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except Exception as error:
        if not (isinstance(error, OSError) or is_without_room(error)):
            raise
        raise UserError(f"could not write {path} ({why_not_written(error)}): give another --out") from error


def _check_parent(path: Path) -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise UserError(f"no such folder {path.parent}: make it or give another --out")
    if not os.access(parent, os.W_OK):
        raise UserError(f"cannot write in {path.parent}: give another --out")
