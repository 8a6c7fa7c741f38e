"""Optuna as a work queue over explicit points, for any number of workers and commands at once.

The run folders are the truth (a point with result.json is finished), Optuna's journal the index: which point
waits, runs, failed. A point's lock says whether somebody is at work on it: the system lets go of it when the
last process that holds it ends, the fit itself included, so that a point RUNNING in the index with a free
lock was killed and is queued again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from lightning_impl.data.processes import only_one
from lightning_impl.study.point import RESULT_FILE, Point
from parity_common.command_errors import UserError

QUEUE_FOLDER = ".queue"
LOCK_FILE = ".lock"


@dataclass(frozen=True)
class Claim:
    """A point that this process alone works on, until the lock is closed.

    Attributes:
        point: What to run.
        trial: Its place in the index.
        lock: To be handed to the fit, which then holds it as well.
    """

    point: Point
    trial: optuna.Trial
    lock: BinaryIO


class PointQueue:
    """The points of one piece of work.

    Several queues may share `out`, in other processes and with other points: each point runs in one place
    at a time, and once it is finished in none.

    Args:
        points: In the order in which they are wanted.
        out: Where the points' folders lie.

    Raises:
        UserError: Two points of one name or of the same parameters, a folder of other parameters, or `out`
            cannot be written.
    """

    def __init__(self, points: Sequence[Point], out: Path) -> None:
        names = [point.name for point in points]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"two points are named {twice[0]}: name them apart")
        self.out = out
        self._points: dict[str, Point] = {}
        for point in points:
            same = self._points.setdefault(point.run_id, point)
            if same is not point:
                raise UserError(f"points {same.name} and {point.name} are the same fit: keep one")
        self._place = out / QUEUE_FOLDER
        try:
            self._place.mkdir(parents=True, exist_ok=True)
            with only_one(self._place):
                self._study = self._open_study()
                self._queue_unfinished()
        except OSError as error:
            raise UserError(f"cannot write {self._place} ({error.strerror}): choose another --out") from error

    def claim(self) -> Claim | None:
        """The next point that waits, or None if none does just now."""
        with only_one(self._place):
            self._queue_killed()
            while self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                trial = self._study.ask()
                point = self._points[trial.user_attrs["run_id"]]
                # A trial whose lock another queue holds stays RUNNING: what comes of it is seen later.
                lock = self._lock(point)
                if lock is None:
                    continue
                if point.finished_run(self.out) is None:
                    point.write_parameters(self.out)
                    return Claim(point, trial, lock)
                self._tell_finished(trial.number, point)
                lock.close()
            return None

    def settle(self, claim: Claim, error: str | None) -> None:
        """Puts down how a claimed point ended, and lets go of it.

        Args:
            claim: Its process has ended.
            error: Why it failed, one line; None if it finished.
        """
        with only_one(self._place):
            if error is None:
                self._tell_finished(claim.trial.number, claim.point)
            else:
                claim.trial.set_user_attr("error", error)
                self._study.tell(claim.trial, state=TrialState.FAIL)
            claim.lock.close()

    def finished(self) -> list[str]:
        """Names of the points that have a result."""
        return [point.name for point in self._points.values() if point.finished_run(self.out) is not None]

    def failed(self) -> dict[str, str]:
        """Names of the points whose last try failed, and its error line."""
        return {
            self._points[run_id].name: trial.user_attrs.get("error", "killed")
            for run_id, trial in self._latest().items()
            if trial.state is TrialState.FAIL and self._points[run_id].finished_run(self.out) is None
        }

    def is_settled(self) -> bool:
        """Whether every point is finished or has failed; others may be at work elsewhere."""
        return len(self.finished()) + len(self.failed()) == len(self._points)

    def _open_study(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        journal = self._place / "journal.log"
        _cut_torn_line(journal)
        storage = JournalStorage(JournalFileBackend(str(journal), _NoLock()))  # type: ignore[arg-type]
        # A study of other points has another name: its waiting ones are not this one's.
        name = hashlib.sha256("".join(sorted(self._points)).encode()).hexdigest()[:16]
        return optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )

    def _queue_unfinished(self) -> None:
        latest = self._latest()
        for run_id, point in self._points.items():
            state = latest[run_id].state if run_id in latest else None
            queued = state in (TrialState.WAITING, TrialState.RUNNING)
            if point.finished_run(self.out) is None and not queued:
                self._queue(point)

    def _queue_killed(self) -> None:
        for run_id, trial in self._latest().items():
            point = self._points[run_id]
            if trial.state is TrialState.RUNNING and (lock := self._lock(point)) is not None:
                if point.finished_run(self.out) is not None:
                    self._tell_finished(trial.number, point)
                else:
                    self._study.tell(trial.number, state=TrialState.FAIL)
                    self._queue(point)
                lock.close()

    def _tell_finished(self, trial: int, point: Point) -> None:
        run = point.finished_run(self.out)
        assert run is not None
        result = json.loads((run / RESULT_FILE).read_text(encoding="utf-8"))
        # Optuna's index takes a number, also of a run that validated no epoch.
        self._study.tell(trial, result["best_val_accuracy"] or 0.0)

    def _queue(self, point: Point) -> None:
        self._study.enqueue_trial({}, user_attrs={"run_id": point.run_id, "name": point.name})

    def _latest(self) -> dict[str, FrozenTrial]:
        return {trial.user_attrs["run_id"]: trial for trial in self._study.get_trials(deepcopy=False)}

    def _lock(self, point: Point) -> BinaryIO | None:
        point.folder(self.out).mkdir(parents=True, exist_ok=True)
        lock = open(point.folder(self.out) / LOCK_FILE, "ab")  # noqa: SIM115 - closed when the point settles
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock


class _NoLock:
    """The queue's own lock is held at every write; Optuna's outlives a killed process by half a minute."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _cut_torn_line(journal: Path) -> None:
    """Drops a last line without its end, which a full disk leaves and after which Optuna reads no more."""
    if journal.exists() and not (content := journal.read_bytes()).endswith(b"\n") and content:
        with journal.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
