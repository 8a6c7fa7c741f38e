"""The queue of a study under kills, failures and Ctrl-C: real processes that leave a result as a fit does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPOSITORY

from lightning_impl.study.point import Point
from lightning_impl.study.run_points import run_points
from parity_common.command_errors import UserError

# A process with fit's options that tells when it begins and ends. A point waits for the file of its name
# where its options say so, and raises while the file "mended" is not there.
FIT = """
import json, os, pathlib, sys, time
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name = options["--name"]

def tell(what):
    with open("events", "a") as events:
        events.write(json.dumps([what, name, os.getpid(), os.environ["OMP_NUM_THREADS"]]) + "\\n")

run = pathlib.Path(options["--runs"], name, str(time.time_ns()))
run.mkdir()
tell("began")
while options.get("--waits") and not os.path.exists(name):
    time.sleep(0.02)
if options.get("--raises") and not os.path.exists("mended"):
    print("on the way", flush=True)
    raise ValueError(f"{name} is out of luck")
tell("ended")
(run / "result.json").write_text('{"best_val_accuracy": %s}' % options.get("--accuracy", "0.5"))
"""
# A command that works on the points it is given.
COMMAND = """
import json, sys
from pathlib import Path
from lightning_impl.study.point import Point
from lightning_impl.study.run_points import run_points
from parity_common.command_errors import run_command

def main():
    six = json.loads(sys.argv[2])
    points = [Point(name, "pretended_fit", tuple(options)) for name, options in six.items()]
    outcome = run_points(points, Path("out"), int(sys.argv[1]))
    print(outcome.failed)
    return len(outcome.failed)

run_command(main)
"""
# Their options differ, as those of two fits do.
SIX = {
    "held-1": ("--waits", "1"),
    "held-2": ("--waits", "2"),
    "luckless": ("--raises", "yes"),
    "plain-1": ("--seed", "1"),
    "plain-2": ("--seed", "2"),
    "plain-3": ("--seed", "3"),
}
POINTS = [Point(name, "pretended_fit", options) for name, options in SIX.items()]
ONCE = dict.fromkeys(SIX, 1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pretended_fit.py").write_text(FIT)
    (tmp_path / "command.py").write_text(COMMAND)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{REPOSITORY}")
    return tmp_path


def start(workers: int) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "command.py", str(workers), json.dumps(SIX)], stdout=pipe, stderr=pipe, text=True
    )


def ended(command: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and what it printed."""
    output, _ = command.communicate(timeout=60)
    return command.returncode, output


def events(place: Path, what: str) -> dict[str, list[int]]:
    """Process ids by point, of those that began or ended."""
    found: dict[str, list[int]] = {}
    if (place / "events").exists():
        for line in (place / "events").read_text().splitlines():
            kind, name, process, _ = json.loads(line)
            if kind == what:
                found.setdefault(name, []).append(process)
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def finished_counts(place: Path) -> dict[str, int]:
    return Counter(path.parents[1].name for path in place.glob("out/*/*/result.json"))


@pytest.mark.process
def test_three_workers_one_killed_and_one_point_raising_finish_all_exactly_once(place: Path) -> None:
    workers = [start(1) for _ in range(3)]
    try:
        until(lambda: len(events(place, "began")) == 6)
        # Two commands hold a point each; a third one is left and waits for them.
        fits = {name: events(place, "began")[name][0] for name in ("held-1", "held-2")}
        by_fit = {_parent(fit): fit for fit in fits.values()}
        victim = next(worker for worker in workers if worker.pid in by_fit)
        os.kill(victim.pid, signal.SIGKILL)
        os.kill(by_fit[victim.pid], signal.SIGKILL)
        # Another worker takes up the killed one's point in the same call.
        until(lambda: sum(len(began) for began in events(place, "began").values()) == 7)
        for name in fits:
            (place / name).touch()
        for worker in workers:
            code, output = ended(worker)
            if worker is not victim:
                assert (code, "ValueError: luckless is out of luck" in output) == (1, True)
    finally:
        for worker in workers:
            worker.kill()
    assert finished_counts(place) == {name: 1 for name in SIX if name != "luckless"}
    (place / "mended").touch()
    assert ended(start(3)) == (0, "{}\n")
    assert finished_counts(place) == ONCE
    assert {name: len(ended) for name, ended in events(place, "ended").items()} == ONCE
    # Once all are finished nothing is started.
    assert ended(start(3)) == (0, "{}\n")
    assert finished_counts(place) == ONCE


@pytest.mark.process
def test_a_fit_that_outlives_its_killed_command_is_waited_for(place: Path) -> None:
    killed = start(3)
    output = place / "out/luckless/output.txt"
    until(lambda: len(events(place, "ended")) == 3 and "out of luck" in output.read_text())
    os.kill(killed.pid, signal.SIGKILL)
    ended(killed)
    (place / "mended").touch()
    again = start(1)
    # It has something to do itself; with that behind it, it could take up what is still under way.
    until(lambda: finished_counts(place).get("luckless"))
    time.sleep(0.5)
    assert again.poll() is None
    for name in ("held-1", "held-2"):
        (place / name).touch()
    assert ended(again) == (0, "{}\n")
    assert {name: len(began) for name, began in events(place, "began").items()} == {**ONCE, "luckless": 2}
    assert finished_counts(place) == ONCE


@pytest.mark.process
def test_after_a_kill_of_everything_only_what_was_under_way_is_repeated(place: Path) -> None:
    (place / "mended").touch()
    killed = start(2)
    until(lambda: len(events(place, "began")) == 2)
    (place / "held-1").touch()
    until(lambda: len(events(place, "ended")) == 5)
    os.kill(killed.pid, signal.SIGKILL)
    os.kill(events(place, "began")["held-2"][0], signal.SIGKILL)
    ended(killed)
    (place / "held-2").touch()
    assert ended(start(2)) == (0, "{}\n")
    assert {name: len(began) for name, began in events(place, "began").items()} == {**ONCE, "held-2": 2}
    assert finished_counts(place) == ONCE


@pytest.mark.process
def test_a_killed_fit_is_reported_and_tried_again(place: Path) -> None:
    for name in ("mended", "held-2"):
        (place / name).touch()
    command = start(2)
    until(lambda: len(events(place, "ended")) == 5)
    os.kill(events(place, "began")["held-1"][0], signal.SIGKILL)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "held-1 failed, killed by SIGKILL: it said nothing" in errors
    (place / "held-1").touch()
    assert ended(start(2)) == (0, "{}\n")
    assert finished_counts(place) == ONCE


@pytest.mark.process
def test_ctrl_c_ends_the_fits_and_says_how_to_go_on(place: Path) -> None:
    (place / "mended").touch()
    command = start(3)
    until(lambda: len(events(place, "ended")) == 4)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=30)
    assert command.returncode == 130
    assert errors.splitlines()[-1] == "stopped: 4 of 6 points have finished; the same command goes on"
    for name in ("held-1", "held-2"):
        with pytest.raises(ProcessLookupError):
            os.kill(events(place, "began")[name][0], 0)
        (place / name).touch()
    assert ended(start(3)) == (0, "{}\n")
    assert finished_counts(place) == ONCE


@pytest.mark.process
def test_a_failing_point_is_shown_with_its_last_line(place: Path, capsys: pytest.CaptureFixture) -> None:
    outcome = run_points(POINTS[2:4], Path("out"), workers=1, threads=3)
    line = "exit code 1: ValueError: luckless is out of luck (all of it: out/luckless/output.txt)"
    assert outcome.failed == {"luckless": line}
    assert outcome.finished == ["plain-1"]
    assert capsys.readouterr().err.splitlines() == [
        f"luckless failed, {line} (0 of 2 finished)",
        "plain-1 finished (1 of 2 finished)",
    ]
    assert {json.loads(told)[3] for told in (place / "events").read_text().splitlines()} == {"3"}


@pytest.mark.process
def test_a_journal_cut_off_by_a_full_disk_is_read_on(place: Path) -> None:
    run_points(POINTS[3:5], Path("out"), workers=1)
    with (place / "out/.queue/journal.log").open("a") as journal:
        journal.write('{"op_code":6,"worker')
    assert run_points(POINTS[3:], Path("out"), workers=1).failed == {}
    assert {name: len(began) for name, began in events(place, "began").items()} == {
        "plain-1": 1,
        "plain-2": 1,
        "plain-3": 1,
    }


@pytest.mark.process
def test_results_of_other_settings_are_not_taken_for_a_points_own(place: Path) -> None:
    run_points([Point("a", "pretended_fit", ("--seed", "1"))], Path("out"), workers=1)
    with pytest.raises(UserError, match="out/a holds runs with other settings than a has now"):
        run_points([Point("a", "pretended_fit", ("--seed", "2"))], Path("out"), workers=1)
    (place / "c.yaml").write_text("seed: 1\n")
    run_points([Point("b", "pretended_fit", ("--config", "c.yaml"))], Path("out"), workers=1)
    (place / "c.yaml").write_text("# the same\nseed: 1\n")
    run_points([Point("b", "pretended_fit", ("--config", "c.yaml"))], Path("out"), workers=1)
    assert len(events(place, "began")["b"]) == 1
    (place / "c.yaml").write_text("seed: 2\n")
    with pytest.raises(UserError, match="out/b holds runs with other settings"):
        run_points([Point("b", "pretended_fit", ("--config", "c.yaml"))], Path("out"), workers=1)


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ([("a", ("--x", "1")), ("a", ("--x", "2"))], "two points are named a"),
        ([("a", ("--x", "1")), ("b", ("--x", "1"))], "points a and b are the same fit"),
        ([("a/b", ())], 'point "a/b": give a folder name'),
        ([("a", ("--runs=elsewhere",))], "point a: --runs is its queue's to give"),
        ([("a", ("--config", "none_such"))], 'no config "none_such"'),
    ],
)
def test_points_that_cannot_be_run_are_refused(place: Path, points: list, line: str) -> None:
    with pytest.raises(UserError, match=line):
        run_points([Point(name, "pretended_fit", words) for name, words in points], Path("out"), workers=1)
    assert not list(place.glob("out/*/*/"))


def _parent(process: int) -> int:
    """The process that started it, by /proc/PID/stat."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.process
def test_a_fit_that_validated_no_epoch_is_finished(place: Path) -> None:
    point = Point("plain", "pretended_fit", ("--accuracy", "null"))
    assert run_points([point], Path("out"), 1).finished == ["plain"]
