"""Runs `python -m lightning_impl.COMMAND …` in a process of its own, without importing torch anew."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from PIL import Image

# The server imports these once; each process is a fork of it, with real signals and a real exit code.
PRELOADED = [
    "lightning_impl.cli",
    "lightning_impl.evaluate",
    "lightning_impl.report.draw",
    "lightning_impl.formats.check",
]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(PRELOADED)


@dataclass
class Fit:
    """A command under way or done; `stdout` and `stderr` are what it has printed so far."""

    process: BaseProcess
    outputs: Path

    @property
    def stdout(self) -> str:
        return (self.outputs / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.outputs / "stderr").read_text()

    def wait(self, seconds: float = 120) -> int:
        """Its exit code; a process that does not end in time fails the test."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"still running after {seconds} s\n{self.stdout}\n{self.stderr}")
        return self.process.exitcode


def draw_pictures(root: Path) -> Path:
    """Three classes of twelve pictures, each class its own brightness: learnt at once."""
    for label, name in enumerate(("dark", "grey", "light")):
        (root / name).mkdir()
        for number in range(12):
            random = np.random.RandomState(100 * label + number)
            pixels = random.randint(80 * label, 80 * label + 90, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


def start(command: str, *arguments: object, cwd: Path, prepare: Callable[[], object] | None = None) -> Fit:
    """Starts `python -m lightning_impl.COMMAND` in the folder `cwd`.

    `prepare`, a module's function, is called in its process before.
    """
    outputs = cwd / f".outputs-{time.monotonic_ns()}"
    outputs.mkdir()
    for name in ("stdout", "stderr"):
        (outputs / name).touch()
    words = [str(word) for word in arguments]
    process = _context.Process(target=_run, args=(command, words, cwd, outputs, prepare))
    process.start()
    return Fit(process, outputs)


def run(
    command: str, *arguments: object, cwd: Path, code: int = 0, prepare: Callable[[], object] | None = None
) -> Fit:
    """Runs a command to its end and checks its exit code."""
    done = start(command, *arguments, cwd=cwd, prepare=prepare)
    assert done.wait() == code, done.stdout + done.stderr
    return done


def start_fit(*arguments: object, cwd: Path, prepare: Callable[[], object] | None = None) -> Fit:
    """`start` of a fit."""
    return start("fit", *arguments, cwd=cwd, prepare=prepare)


def fit(*arguments: object, cwd: Path, code: int = 0, prepare: Callable[[], object] | None = None) -> Fit:
    """`run` of a fit."""
    return run("fit", *arguments, cwd=cwd, code=code, prepare=prepare)


def _run(
    command: str, arguments: list[str], cwd: Path, outputs: Path, prepare: Callable[[], object] | None
) -> None:
    os.chdir(cwd)
    # As in a process of its own: the server's children start others through servers that preload nothing.
    multiprocessing.set_start_method("fork", force=True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(outputs / name, os.O_WRONLY), number)
    sys.argv = [command, *arguments]
    if prepare is not None:
        prepare()
    from parity_common.command_errors import run_command

    run_command(importlib.import_module(f"lightning_impl.{command}").main)
