"""Runs the points of a queue, each as a process of its own, several at once."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lightning_impl.study.point import OUTPUT_FILE, Point
from parity_common.command_errors import Stopped, UserError
from parity_common.extras import how_to_install

if TYPE_CHECKING:
    from lightning_impl.study.queue import Claim, PointQueue

# How often the state of points that other commands work on is looked at.
POLL_SECONDS = 0.2
# A stopped fit finishes its step and writes a checkpoint; then it is killed.
GRACE_SECONDS = 60.0
LONGEST_ERROR = 300


@dataclass(frozen=True)
class Outcome:
    """What came of the points.

    Attributes:
        finished: Names.
        failed: Names, and the last line that the point's process said.
    """

    finished: list[str]
    failed: dict[str, str]


def run_points(points: Sequence[Point], out: Path, workers: int, threads: int = 1) -> Outcome:
    """Runs the points that are not finished yet; a point that failed in an earlier call is tried again.

    Whatever stops this process, the same call goes on: nothing finished is repeated, and a fit that outlives
    it is waited for. A point's result does not depend on `workers`, since its threads are given apart.

    Args:
        points: In the order in which they are started.
        out: Where their folders lie.
        workers: Points at a time, 1 or more.
        threads: Of each point, 1 or more.

    Raises:
        UserError: As PointQueue; or Optuna is not installed.
        Stopped: Ctrl-C or SIGTERM: the points under way have been stopped.
    """
    try:
        from lightning_impl.study.queue import PointQueue
    except ModuleNotFoundError as error:
        raise UserError(f"a study needs: {how_to_install('study')}") from error
    queue = PointQueue(points, out)
    session = _Session(queue, len(points), threads)
    handlers = {number: signal.signal(number, session.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with session.progress, ThreadPoolExecutor(workers) as pool:
            session.supervise([pool.submit(session.work) for _ in range(workers)])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    outcome = Outcome(queue.finished(), queue.failed())
    if session.stopped_by is not None:
        raise Stopped(
            f"{len(outcome.finished)} of {len(points)} points have finished; the same command goes on",
            128 + session.stopped_by,
        )
    return outcome


class _Session:
    """One call's workers, as threads that each wait for a process."""

    def __init__(self, queue: PointQueue, total: int, threads: int) -> None:
        self.queue = queue
        self.total = total
        self.stopped_by: int | None = None
        self._signals = 0
        self._stopping = threading.Event()
        self._children: dict[str, subprocess.Popen] = {}
        self._alone = threading.Lock()
        self._environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "TF_NUM_INTRAOP_THREADS": str(threads),
            "TF_NUM_INTEROP_THREADS": str(threads),
            # So that the last line of its output is the last thing that it said.
            "PYTHONUNBUFFERED": "1",
        }
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("points"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self.progress.add_task("", total=total, completed=len(queue.finished()))

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal: notes it, and leaves the work to `supervise`."""
        self.stopped_by = number
        self._signals += 1

    def supervise(self, workers: list[Future]) -> None:
        """Waits for the workers; ends their processes once a signal has come or a worker has broken down."""
        pending = set(workers)
        waited = 0.0
        while pending:
            done, pending = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            broken = any(worker.exception() for worker in done)
            if (broken or self._signals) and not self._stopping.is_set():
                with self._alone:
                    self._stopping.set()
                    for child in self._children.values():
                        child.terminate()
            if self._stopping.is_set():
                waited += POLL_SECONDS
                if waited > GRACE_SECONDS or self._signals > 1:
                    for child in list(self._children.values()):
                        with suppress(ProcessLookupError):
                            os.killpg(child.pid, signal.SIGKILL)
        for worker in workers:
            worker.result()

    def work(self) -> None:
        """Takes point after point until none is left."""
        while not self._stopping.is_set():
            claim = self.queue.claim()
            if claim is None:
                if self.queue.is_settled():
                    return
                self._stopping.wait(POLL_SECONDS)
                continue
            error = self._run(claim)
            self.queue.settle(claim, error)
            self._show(claim.point, error)

    def _run(self, claim: Claim) -> str | None:
        """The error line of a point's process, None if it left a result."""
        point, out = claim.point, self.queue.out
        output = point.folder(out) / OUTPUT_FILE
        with output.open("wb") as file:
            with self._alone:
                if self._stopping.is_set():
                    return "stopped before it began"
                child = subprocess.Popen(
                    point.command(out),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    # Ctrl-C of the terminal is for the study, which then ends its points in order.
                    start_new_session=True,
                    pass_fds=(claim.lock.fileno(),),
                )
                self._children[point.name] = child
            self._show_running()
            code = child.wait()
        with self._alone:
            del self._children[point.name]
        if point.finished_run(out) is not None:
            return None
        return f"{_ending(code)}: {_last_line(output)} (all of it: {output})"

    def _show(self, point: Point, error: str | None) -> None:
        if self._stopping.is_set():
            return
        finished, failed = len(self.queue.finished()), len(self.queue.failed())
        self.progress.update(self._task, completed=finished + failed)
        self._show_running()
        what = "finished" if error is None else f"failed, {error}"
        line = f"{point.name} {what} ({finished} of {self.total} finished)"
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show_running(self) -> None:
        self.progress.update(self._task, description=", ".join(list(self._children)))


def _ending(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}" if code else "no result.json"


def _last_line(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:LONGEST_ERROR] if said else "it said nothing"
