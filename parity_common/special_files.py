"""What lies in a class folder under an image's name and is no file."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

from parity_common.command_errors import UserError

KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def special_kind(path: str | Path) -> str:
    """What a path is that leads to no file, such as "a named pipe"; an empty text for a file.

    Nothing is opened: a pipe would be waited for. What cannot be looked at for another reason, or is gone, is
    left to the reading.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "a link to nothing" if os.path.islink(path) else ""
    except OSError as error:
        return "a link to itself" if error.errno == errno.ELOOP else ""
    return next((name for is_kind, name in KINDS if is_kind(mode)), "")


def refuse_special_files(root: Path, files: Iterable[str]) -> None:
    """Refuses the images of a folder that are none, before any is read.

    Keras takes them by their name alone and splits by their number, so that none can be passed over.

    Args:
        root: The folder of class folders.
        files: Paths below it.

    Raises:
        UserError: Names the first, and where all are listed.
    """
    found = [(name, what) for name in files if (what := special_kind(root / name))]
    if found:
        name, what = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise UserError(
            f"image file {root / name} is {what}{more}: replace or remove it; all are listed by "
            f"{audit_command(root)}"
        )


def audit_command(root: Path) -> str:
    """What lists everything that is wrong in a folder of class folders."""
    return f"python -m lightning_impl.data audit {shlex.quote(str(root))}"
