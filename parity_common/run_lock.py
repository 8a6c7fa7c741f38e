"""A run folder has one user at a time: two that go on with it would write over each other's epochs."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from parity_common.command_errors import UserError

LOCK_FILE = ".lock"
# Some network file systems have no locks: a run there is not worth less.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def only_user(run: Path) -> Iterator[None]:
    """Holds a run folder for this process; the system lets go of it when the process ends, however it does.

    A record lock, which the processes that fetch batches do not inherit: they outlive a killed fit a while.

    Args:
        run: The folder.

    Raises:
        UserError: Another process has it, or the folder cannot be written.
    """
    path = run / LOCK_FILE
    try:
        file = _lock(run, path)
    except OSError as error:
        raise UserError(
            f"cannot write in {run} ({error.strerror}): copy it to where you may write, and use the copy"
        ) from error
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _lock(run: Path, path: Path) -> TextIO:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in WITHOUT_LOCKS:
                return file
            with file:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                file.seek(0)
                user = file.read().strip() or "another process"
            raise UserError(f"{run} is in use by {user}: wait until it ends, or stop it first") from error
        # Whoever had it takes the file away at its end, perhaps between our opening and our locking.
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()
