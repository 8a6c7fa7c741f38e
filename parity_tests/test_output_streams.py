"""Standard output that is closed or full: the work is done, the exit code and one line say so."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from parity_tests.entry_point import run
from parity_tests.trained_case import pictures_of

COMMANDS = {
    "audit": [*("-m", "lightning_impl.data", "audit", "pictures", "--json", "out.json", "--all")],
    "help": ["-m", "lightning_impl.fit", "--help"],
    "report": ["-m", "lightning_impl.report", "--help"],
}


def lose_output(kind: str) -> None:
    """What a shell's `>&-` and `>/dev/full` make of a process that Python has started already."""
    if kind == "closed":
        os.close(1)
        sys.stdout = None  # type: ignore[assignment]
    else:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, 1)


@pytest.mark.parametrize("kind", ["closed", "full"])
def test_predictions_are_written_without_standard_output(
    kind: str, trained_run: Path, tmp_path: Path
) -> None:
    folder = pictures_of(trained_run)
    done = run("predict", trained_run, folder, cwd=tmp_path, prepare=partial(lose_output, kind), code=1)
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 71
    reason = "it is closed" if kind == "closed" else "No space left on device"
    lines = done.stderr.splitlines()
    assert lines[-1] == f"error: standard output could not be written ({reason}); files are written as ever"
    assert "Traceback" not in done.stderr


@pytest.mark.process
@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_in_one_line(name: str, redirection: str, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    command = " ".join([sys.executable, *COMMANDS[name], redirection])
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: standard output could not be written (")
    assert "Traceback" not in done.stderr
    assert name != "audit" or (tmp_path / "out.json").exists()


@pytest.mark.process
def test_reader_that_went_away_is_no_fault(tmp_path: Path) -> None:
    command = f"{sys.executable} -m lightning_impl.fit --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 141
    assert done.stderr == ""
