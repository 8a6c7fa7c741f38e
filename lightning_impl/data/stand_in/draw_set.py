"""Draws a set into a folder: in parallel, resumable, stopped by Ctrl-C without a broken file."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import lightning_impl
from lightning_impl.data.stand_in.draw import check_seed
from lightning_impl.data.stand_in.folder import (
    EXIT_CANNOT_WRITE,
    Image,
    check_folder,
    check_images_per_class,
    locked,
    make_folder,
    missing_images,
    remove_temporary_files,
)
from lightning_impl.data.stand_in.objects import CLASS_NAMES
from parity_common.command_errors import EXIT_INTERRUPTED, EXIT_TERMINATED, Stopped, UserError
from parity_common.processors import granted_processors

SECONDS_BETWEEN_LINES = 10.0
MOST_WORKERS = 256
# A worker takes about half a second to start: fewer images than this are not worth another one.
LEAST_IMAGES_PER_WORKER = 24


def draw_set(out: str | os.PathLike, images_per_class: int, seed: int, workers: int | None = None) -> None:
    """Draws the stand-in set into a folder of class folders; images that are there already are left alone.

    Args:
        out: The folder; made if it is not there. Files are named as `anchor/anchor_0001.jpg`.
        images_per_class: 1 to 9999. A smaller set is a prefix of a larger one.
        seed: 0 to 2**32 - 1.
        workers: Drawing processes, on which no file depends; None takes the processors this process may use.

    Raises:
        UserError: An argument is out of range, or the folder holds something else or cannot be written.
        Stopped: Ctrl-C or SIGTERM came; the workers have ended, and the same call goes on from there.
    """
    out = Path(out).absolute()
    check_images_per_class(images_per_class)
    check_seed(seed)
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise UserError(f"workers must be 1 to {MOST_WORKERS}, not {workers}")
    # A finished set is only read: it may lie where nothing can be written.
    check_folder(out, seed)
    if not missing_images(out, images_per_class):
        return
    with locked(out) as lock:
        # Looked at anew: while this process waited for the lock another may have drawn all of it.
        check_folder(out, seed)
        make_folder(out, seed)
        remove_temporary_files(out)
        missing = missing_images(out, images_per_class)
        total = images_per_class * len(CLASS_NAMES)
        count = min(workers or granted_processors(), -(-len(missing) // LEAST_IMAGES_PER_WORKER))
        with _termination_as_interrupt() as signals, _progress(total, total - len(missing)) as advance:
            try:
                _draw(out, missing, seed, count, lock, advance)
                return
            except KeyboardInterrupt:
                remove_temporary_files(out)
    drawn = total - len(missing_images(out, images_per_class))
    code = EXIT_TERMINATED if signal.SIGTERM in signals else EXIT_INTERRUPTED
    raise Stopped(f"{drawn} of {total} images drawn; the same command goes on from there", code)


def _draw(
    out: Path,
    images: list[Image],
    seed: int,
    count: int,
    lock: tuple[int, ...],
    advance: Callable[[int], None],
) -> None:
    processes: list[subprocess.Popen] = []
    try:
        for place in range(count):
            processes.append(_start(out, images[place::count], seed, lock))
        with selectors.DefaultSelector() as selector:
            for process in processes:
                selector.register(process.stdout, selectors.EVENT_READ, process)
            while selector.get_map():
                for ready, _ in selector.select():
                    line = ready.fileobj.readline()
                    if line:
                        advance(int(line))
                        continue
                    selector.unregister(ready.fileobj)
                    _check_end(out, ready.data)
    finally:
        # Terminated, never waited for: what a worker is at lies under a temporary name.
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(OSError):
                    pipe.close()


def _start(out: Path, images: list[Image], seed: int, lock: tuple[int, ...]) -> subprocess.Popen:
    package_root = str(Path(lightning_impl.__file__).parents[1])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "lightning_impl.data.stand_in.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Unbuffered, so that no line waits in a buffer which the selector cannot see.
        bufsize=0,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        # A session of its own, so that Ctrl-C reaches this process alone, which then ends the workers.
        start_new_session=True,
        pass_fds=lock,
    )
    task = json.dumps({"out": str(out), "seed": seed, "images": images}) + "\n"
    data = memoryview(task.encode())
    with contextlib.suppress(BrokenPipeError):  # it ended at its start; _check_end says why
        while data:
            data = data[process.stdin.write(data) :]
    return process


def _check_end(out: Path, process: subprocess.Popen) -> None:
    code = process.wait()
    if code == 0:
        return
    said = process.stderr.read().decode(errors="replace").strip()
    if code == EXIT_CANNOT_WRITE:
        raise UserError(
            f"cannot write the stand-in set to {out}: {said}; the same command goes on from there"
        )
    if code < 0:
        raise UserError(
            f"a drawing process was ended by signal {-code} (out of memory?): "
            "the same command goes on from there, with fewer --workers if need be"
        )
    raise RuntimeError(f"a drawing process failed:\n{said}")


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[list[int]]:
    """Makes SIGTERM end the work as Ctrl-C does; gives the list of the SIGTERMs that came."""
    came: list[int] = []

    def interrupt(number: int, frame) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may set a handler
        yield came
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; off a terminal a line every ten seconds."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("drawing the stand-in set", total=total, completed=done)
            yield lambda images: progress.advance(task, images)
        return
    start = last = time.monotonic()
    first = done

    def advance(images: int) -> None:
        nonlocal done, last
        done += images
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            rate = (done - first) / (now - start)
            print(
                f"drawing the stand-in set: {done} of {total} images, {rate:.0f}/s",
                file=sys.stderr,
                flush=True,
            )

    yield advance
