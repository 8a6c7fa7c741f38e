"""Finds a Keras that loads a model file, and has it recorded there: Keras never runs in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_reference import record_file
from parity_common.command_errors import UserError
from porting.keras_file import KerasFile
from porting.output_shapes import Shape

RECORDER = Path(record_file.__file__)
SEED = 0
_HAS = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""
_INSTALL = (
    'install one (pip install "keras-lightning-parity[keras]"), or name an interpreter with --keras-python'
)
_OTHER = "name an interpreter that has the Keras it was saved with: --keras-python PATH"


@dataclass(frozen=True)
class Attempt:
    """One Keras that was tried.

    Attributes:
        package: "tf_keras".
        reason: Why it recorded nothing; "" where it did.
    """

    package: str
    reason: str


class NoKeras(UserError):
    """No Keras recorded the file. The message says what was tried and what to do."""


def packages_for(file: KerasFile, there: Sequence[str]) -> list[str]:
    """The Kerases to try, the generation that wrote the file first.

    Args:
        file: The model's.
        there: Which of keras, tf_keras and tensorflow are installed.
    """
    is_keras3 = file.keras_version.split(".")[0] not in ("1", "2")
    wanted = ("keras", "tf_keras") if is_keras3 else ("tf_keras", "keras")
    found = [package for package in wanted if package in there]
    # In TensorFlow up to 2.15 tf.keras may be all there is; later it is the package keras.
    return found or (["tensorflow.keras"] if "tensorflow" in there else [])


def installed_in(python: str) -> list[str]:
    """Which of keras, tf_keras and tensorflow an interpreter has; none of them is imported.

    Raises:
        UserError: It is no Python interpreter.
    """
    try:
        done = subprocess.run(
            [python, "-c", _HAS, "keras", "tf_keras", "tensorflow"],
            capture_output=True,
            text=True,
            check=True,
            cwd=RECORDER.anchor,
        )
        return json.loads(done.stdout.splitlines()[-1])
    except OSError as error:
        raise UserError(f"--keras-python {python} cannot be run: {error.strerror}") from error
    except (subprocess.CalledProcessError, ValueError, IndexError) as error:
        raise UserError(f"--keras-python {python} is no Python interpreter") from error


def record(
    file: KerasFile,
    folder: Path,
    *,
    shapes: Sequence[Shape] = (),
    architecture: Path | None = None,
    keras_python: str | None = None,
    keras: str | None = None,
    trust_code: bool = False,
) -> list[Attempt]:
    """Has a file recorded in the first Keras that can.

    Args:
        file: The model's.
        folder: Where the trace goes; it is not there yet.
        shapes: Of the inputs in Keras's order, for those that the file leaves open.
        architecture: The JSON that belongs to a file of weights alone.
        keras_python: The interpreter; None: this one.
        keras: The package; None: the one whose generation wrote the file, then the others.
        trust_code: Whether Keras may run code that the file holds.

    Returns:
        What was tried; the last one recorded it.

    Raises:
        NoKeras: There is no Keras, or none recorded it.
        UserError: The interpreter cannot be run.
    """
    python = keras_python or sys.executable
    there = installed_in(python)
    packages = [keras] if keras else packages_for(file, there)
    if not packages:
        raise NoKeras(f"{python} has no Keras: {_INSTALL}")
    attempts: list[Attempt] = []
    for package in packages:
        words = [str(file.path), "--out", str(folder), "--keras", package, "--seed", str(SEED), "--extreme"]
        for shape in shapes if all(len(shape) > 1 for shape in shapes) else ():
            words += ["--input-shape", ",".join("?" if size is None else str(size) for size in shape[1:])]
        words += ["--architecture", str(architecture)] if architecture else []
        words += ["--trust-code"] if trust_code else []
        reason = _run(python, words)
        attempts.append(Attempt(package, reason))
        if not reason:
            return attempts
        if reason.startswith(record_file.HOLDS_CODE):
            # No other Keras is to run it either.
            raise NoKeras(reason)
    tried = "; ".join(f"{attempt.package}: {attempt.reason}" for attempt in attempts)
    raise NoKeras(f"no Keras here runs it ({tried}): {_OTHER}")


def _run(python: str, words: Sequence[str]) -> str:
    """Runs the recorder; why it failed, in one line, or ""."""
    # On a CPU: a GPU's sums may be of TF32, and differ from run to run.
    hidden = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    environment = {**os.environ, **hidden}
    done = subprocess.run(
        [python, str(RECORDER), *words], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"the process died of {signal.Signals(-done.returncode).name}"
    lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
    return lines[-1].removeprefix("error: ")
