"""How a CPU training gets its memory: freed blocks stay in the process, large ones lie on huge pages."""

from __future__ import annotations

import ctypes
import os
import sys

# glibc's <malloc.h>.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_KEPT_BYTES = 1 << 30

# torch c10/core/impl/alloc_cpu.cpp reads it at the first tensor. Large blocks then begin at a page's start,
# too: glibc 2.36 does not find a freed block again for one of the same size that only begins at 64 bytes.
HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"


def prepare_memory() -> None:
    """Spares a training page faults and address translation; called before the first tensor is made.

    Elsewhere than on Linux with glibc this does nothing, and huge pages depend on the kernel's setting.
    """
    if not sys.platform.startswith("linux"):
        return
    # Unless the user has said otherwise.
    os.environ.setdefault(HUGE_PAGES, "1")
    _keep_freed()


def _keep_freed() -> None:
    """Tells glibc to serve large blocks from its heap instead of mapping each anew.

    By default every activation above 32 MiB at most is a fresh mapping whose pages the kernel clears on first
    touch, each step again.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
    mallopt(M_TRIM_THRESHOLD, LARGEST_KEPT_BYTES)
