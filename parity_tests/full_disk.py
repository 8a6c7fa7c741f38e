"""Stand-ins for a full disk that need no right to mount one."""

from __future__ import annotations

import errno
import os
import resource
from typing import Any


def full_at(*names: str) -> None:
    """From now on the disk is full whenever a file of one of these names is to be written whole."""
    real = os.fsync

    def fsync(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        written = os.path.basename(os.readlink(f"/proc/self/fd/{number}"))
        if any(written.startswith(f".{name}.") for name in names):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    os.fsync = fsync


def no_file_above(size: int) -> None:
    """From now on no file may be larger, in bytes: a write that goes beyond fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
