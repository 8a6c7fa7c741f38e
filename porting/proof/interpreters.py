"""Finds a Keras that loads a model file, and has it recorded there: Keras never runs in this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_reference import record_file
from parity_common.command_errors import UserError
from parity_common.extras import how_to_install
from porting.keras_file import KerasFile
from porting.output_shapes import Shape
from porting.proof.steps import Tell, untold

RECORDER = Path(record_file.__file__)
SEED = 0
_SECONDS_TO_TIDY_UP = 3.0
_HAS = """
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name)]))
"""
_INSTALL = f"install one ({how_to_install('keras')}), or name an interpreter with --keras-python"
_OTHER = "name an interpreter that has the Keras it was saved with: --keras-python PATH"


@dataclass(frozen=True)
class Attempt:
    """One Keras that was tried.

    Attributes:
        package: "tf_keras".
        reason: Why it recorded nothing; "" where it did.
        unread: Why it could not load the file, where it recorded it nevertheless, from the model's config
            and the weights as they were read here; "" where it loaded it.
    """

    package: str
    reason: str
    unread: str = ""


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
    tell: Tell = untold,
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
        tell: Takes the name of each step as it begins.

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
        reason, unread = _run(python, words, folder.parent, tell), ""
        if record_file.CANNOT_LOAD in reason:
            # tf_keras 2.21 finds nothing in a .keras file of TF 2.13 and 2.14, for one.
            weights = _write_weights(file, folder.with_name(f"{folder.name}_weights.npz"))
            if not _run(python, [*words, "--weights", str(weights)], folder.parent, tell):
                reason, unread = "", reason
            weights.unlink()
        attempts.append(Attempt(package, reason, unread))
        if not reason:
            return attempts
        if reason.startswith(record_file.HOLDS_CODE):
            # No other Keras is to run it either.
            raise NoKeras(reason)
    tried = "; ".join(f"{attempt.package}: {attempt.reason}" for attempt in attempts)
    raise NoKeras(f"no Keras here runs it ({tried}): {_OTHER}")


def _write_weights(file: KerasFile, path: Path) -> Path:
    """The file's weights as they were read here, for the recorder."""
    arrays: dict[str, np.ndarray] = {}
    layers = []
    for here, named in file.weights.items():
        numbers = [f"a{len(arrays) + place}" for place in range(len(named))]
        arrays |= dict(zip(numbers, (array.read() for array in named.values()), strict=True))
        layers.append({"path": list(here), "arrays": numbers})
    np.savez(path, layers=np.array(json.dumps(layers)), **arrays)  # type: ignore[arg-type]
    return path


def _run(python: str, words: Sequence[str], scratch: Path, tell: Tell) -> str:
    """Runs the recorder; why it failed, in one line, or ""."""
    # On a CPU: a GPU's sums may be of TF32, and differ from run to run.
    hidden = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    environment = {**os.environ, **hidden, "TMPDIR": str(scratch)}
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [python, str(RECORDER), *words], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith(record_file.STEP):
                    tell(line.removeprefix(record_file.STEP).strip())
            code = child.wait()
        finally:
            # Where the proof is stopped, its Keras is, too.
            end(child)
        errors.seek(0)
        said = errors.read()
    if code == 0:
        return ""
    if code < 0:
        return f"the process died of {signal.Signals(-code).name}"
    lines = [line for line in said.splitlines() if line.strip()] or [f"exit code {code}"]
    return lines[-1].removeprefix("error: ")


def end(child: subprocess.Popen) -> None:
    """Ends a process that may still run, and leaves it time to tidy up."""
    if child.stdout is not None:
        child.stdout.close()
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_SECONDS_TO_TIDY_UP)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
