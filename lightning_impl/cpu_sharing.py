"""Threads that give way where other processes want the cores too.

torch's threads meet at the end of every operation. With GNU's OpenMP, which torch for Linux brings, those
that come first turn in a loop, 300,000 times, before they sleep. On idle cores nothing is faster. Beside one
other busy process the thread that all wait for often queues behind one that turns: v3 trains at a fifth of
its speed.

How long threads turn cannot be set while a process runs, but the library itself shortens it to 100 turns
while it manages more threads than there are processors (gomp_managed_threads in its config/linux/wait.h). So
for as long as this process's threads queue for a core, a sleeping thread here owns a team of its own. Results
do not change: the number of threads that compute stays as it is.

Elsewhere than on Linux nothing is done.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import cache
from pathlib import Path

import torch

from parity_common.processors import granted_processors

SECONDS_BETWEEN_LOOKS = 0.25
# Of the time between two looks, how long the thread that queues longest has queued. Measured with v3's step
# on two cores: 0.05 at most alone; beside one busy process 0.37 to 0.49, with the extra team 0.34 to 0.43.
BUSY = 0.2
IDLE = 0.1
LOOKS_UNTIL_IDLE = 8
THREADS = Path("/proc/self/task")
# More elements than torch leaves to one thread.
ELEMENTS_FOR_SEVERAL_THREADS = 1 << 20


def share_processors() -> None:
    """Takes as many threads as processors are granted, and gives way while others are busy on them.

    `OMP_NUM_THREADS`, `OMP_WAIT_POLICY` and `GOMP_SPINCOUNT`, where set, are left to have their effect.

    Example:
        >>> share_processors()
        >>> torch.get_num_threads() <= granted_processors()
        True
    """
    if "OMP_NUM_THREADS" not in os.environ and granted_processors() < torch.get_num_threads():
        torch.set_num_threads(granted_processors())
    is_set = "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ
    if sys.platform == "linux" and torch.get_num_threads() > 1 and not is_set:
        _start_watch()


@cache
def _start_watch() -> None:
    """One watching thread a process, however often it is asked for."""
    threading.Thread(target=_watch, name="core-watch", daemon=True).start()


def _watch() -> None:
    """Keeps an extra team for as long as this process's threads queue for a core."""
    extra: _ExtraTeam | None = None
    idle_looks = 0
    before, then = _seconds_queued(), time.monotonic()
    while True:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        after, now = _seconds_queued(), time.monotonic()
        waited = max((after[name] - before.get(name, after[name]) for name in after), default=0.0)
        share = waited / (now - then)
        before, then = after, now
        idle_looks = idle_looks + 1 if share < IDLE else 0
        if extra is None and share > BUSY:
            extra = _ExtraTeam()
        elif extra is not None and idle_looks >= LOOKS_UNTIL_IDLE:
            extra.end()
            extra = None


def _seconds_queued() -> dict[str, float]:
    """By thread, how long it has been ready to run without a core."""
    seconds = {}
    for thread in THREADS.iterdir() if THREADS.exists() else ():
        try:
            seconds[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            # It has ended meanwhile, or this kernel does not count.
            continue
    return seconds


class _ExtraTeam:
    """A thread that has begun a team of OpenMP's and sleeps: the library counts the team until it ends."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="core-watch-team", daemon=True)
        self._thread.start()

    def _hold(self) -> None:
        torch.ones(ELEMENTS_FOR_SEVERAL_THREADS).add_(1)
        self._over.wait()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
