"""Work on many files at once: processes that Ctrl-C ends cleanly, and a lock between starts."""

from __future__ import annotations

import fcntl
import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from parity_common.command_errors import UserError
from parity_common.processors import granted_processors

Item = TypeVar("Item")
Result = TypeVar("Result")

# Small, since Ctrl-C waits for the chunks under way.
CHUNK = 8
# A process's chunks at a time: what is done but not yet asked for stays in memory.
CHUNKS_AHEAD = 4
# Fewer are done before processes have started.
LEAST_ITEMS = 128
# Of a wait whose process notes its signals.
POLL_SECONDS = 0.2


def map_in_processes(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """`map` over as many processes as there are processors granted; over few items it is plain `map`.

    Results come in order, and only a few chunks are done ahead: Executor.map would do them all.

    Args:
        function: A module's function, or a `partial` of one.
        items: What it takes, one at a time.

    Raises:
        UserError: A process ended: killed from outside, or as it was started by a script without a guard.
    """
    workers = granted_processors()
    if workers == 1 or len(items) < LEAST_ITEMS:
        yield from map(function, items)
        return
    # Forked from a clean server: torch's threads must not be forked.
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_stopping_to_the_parent) as pool:
        chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
        try:
            under_way = deque(
                pool.submit(_each, function, chunk) for chunk in islice(chunks, workers * CHUNKS_AHEAD)
            )
            while under_way:
                done = under_way.popleft().result()
                under_way.extend(pool.submit(_each, function, chunk) for chunk in islice(chunks, 1))
                yield from done
        except BrokenProcessPool as error:
            raise UserError(
                "a decoding process ended (out of memory, or as it says above): start again"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def only_one(
    place: Path, waiting: str | None = None, end_if_asked: Callable[[], None] | None = None
) -> Iterator[None]:
    """Holds the lock of a folder, which exists; another process that wants it waits.

    Args:
        place: The folder.
        waiting: Said on standard error before a wait.
        end_if_asked: Called while it waits, for a process whose signals are only noted: raises where one has
            come. None: a signal ends the wait by itself.

    Raises:
        UserError: In a process that is being started: it imports its parent's script, which without a guard
            comes here again and would wait for what the parent holds.
    """
    # Set while multiprocessing's spawn.py prepares a process, which refuses to start others meanwhile.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UserError(
            'the script starts processes, which import it: put what it does under if __name__ == "__main__":'
        )
    with open(place / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                print(waiting, file=sys.stderr, flush=True)
            if end_if_asked is None:
                fcntl.flock(lock, fcntl.LOCK_EX)
            else:
                _wait_for(lock, end_if_asked)
        yield


def _wait_for(lock: IO, end_if_asked: Callable[[], None]) -> None:
    while True:
        end_if_asked()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(POLL_SECONDS)
        else:
            return


def _each(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _leave_stopping_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
