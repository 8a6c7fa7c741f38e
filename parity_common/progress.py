"""A progress bar on standard error for work over many images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def track(description: str) -> Callable[[Iterable, int], Iterator]:
    """A wrapper for an iteration of known length that shows how far it is.

    Off a terminal it says once what is done.
    """

    def over(items: Iterable, total: int) -> Iterator:
        console = Console(stderr=True)
        if not console.is_terminal:
            console.print(f"{description} {total} images")
            yield from items
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(description, total=total)
            for item in items:
                yield item
                progress.advance(task)

    return over
