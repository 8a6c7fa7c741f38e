"""Says which step of a proof is under way, and for how long: of a large model it takes minutes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

SECONDS_BETWEEN = 15.0
Tell = Callable[[str], None]


def untold(step: str) -> None:
    """For who does not ask."""


@contextmanager
def steps_shown() -> Iterator[Tell]:
    """A function that takes the name of each step as it begins, and shows it on standard error.

    A terminal shows it with the time that has passed; elsewhere there is a line every 15 seconds.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("proof", total=None)
            yield lambda step: progress.update(task, description=f"proof: {step}")
        return
    now = ["begins"]
    ended = threading.Event()
    started = time.monotonic()

    def report() -> None:
        while not ended.wait(SECONDS_BETWEEN):
            passed = time.monotonic() - started
            print(f"proof, {passed:.0f} s: {now[0]}", file=sys.stderr, flush=True)

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield lambda step: now.__setitem__(0, step)
    finally:
        ended.set()
        reporter.join()
