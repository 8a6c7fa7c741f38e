"""Keeps memory that torch frees in the process, which a CPU training needs at once for its next tensor."""

from __future__ import annotations

import ctypes
import sys

# glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Tells glibc to serve large blocks from its heap instead of mapping each anew.

    By default every activation above 32 MiB at most is a fresh mapping whose pages the kernel clears on first
    touch, each step again. Elsewhere than on Linux with glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
    mallopt(M_TRIM_THRESHOLD, LARGEST_KEPT_BYTES)
