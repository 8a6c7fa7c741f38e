"""`prove`: the whole of it, from a file to a verdict and its report."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from parity_common.command_errors import UserError
from porting.keras_file import KerasFile
from porting.program import Program
from porting.proof.compare import Port, compare
from porting.proof.interpreters import Attempt, NoKeras, record
from porting.proof.near_ties import has_near_ties
from porting.proof.recording import FLOAT32, Recording
from porting.proof.report import write_report
from porting.proof.residuals import FORWARD, LEAST_SPREAD, ROUNDED
from porting.proof.steps import Tell, untold
from porting.proof.verdict import Proof
from porting.rules.augmentation import augments


def prove(
    file: KerasFile,
    program: Program,
    converted: nn.Module | None = None,
    *,
    out: Path,
    architecture: Path | None = None,
    keras_python: str | None = None,
    keras: str | None = None,
    trust_code: bool = False,
    tell: Tell = untold,
) -> Proof:
    """Compares a converted file with Keras, and writes proof.json and proof.html.

    Args:
        file: The model's.
        program: What the rules made of it.
        converted: The model that was emitted, with its weights. It takes the tensors of `program.inputs` and
            gives those of `program.outputs`; where it has `probabilities`, that does. None: it is left out.
        out: An existing folder for the two.
        architecture: The JSON that belongs to a file of weights alone.
        keras_python: The interpreter that has a Keras; None: this one.
        keras: "keras", "tf_keras" or "tensorflow.keras"; None: tried in turn.
        trust_code: Whether Keras may run code that the file holds.
        tell: Takes the name of each step as it begins.

    Raises:
        UserError: The interpreter cannot be run, or `out` cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="proof_") as scratch:
        folder = Path(scratch) / "recording"
        try:
            attempts = record(
                file,
                folder,
                shapes=[value.shape for value in program.inputs],
                architecture=architecture,
                keras_python=keras_python,
                keras=keras,
                trust_code=trust_code,
                tell=tell,
            )
        except NoKeras as error:
            proof = Proof(why_not=str(error))
        else:
            proof = verdict(Port(file, program, converted), Recording(folder), attempts, tell)
    try:
        write_report(out, file, proof)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}") from error
    return proof


def verdict(port: Port, recording: Recording, attempts: list[Attempt], tell: Tell = untold) -> Proof:
    """What a recording says of a port."""
    notes = []
    said = recording.said
    if said["no_float64"]:
        notes.append(f"Keras does not run it in float64, float32 alone was compared: {said['no_float64']}")
    if said["other_dtypes"]:
        notes.append(
            f"Layers of the file compute in {', '.join(said['other_dtypes'])}: they were compared in float32."
        )
    if said["spread"] < LEAST_SPREAD:
        notes.append(
            "The outputs hardly differ between the random inputs, or are certain: the layers say more "
            f"than the outputs (spread {said['spread']:.1g})."
        )
    compared = compare(port, recording, tell)
    if compared.rounded:
        notes.append(
            f'Keras computes "{compared.rounded[0]}", or its constants, in float32 whatever the dtype: what '
            f"comes behind it, and gradients that pass it, are held in float64 to {FORWARD[ROUNDED]:.0e}, or "
            "to a few times what float32's last bits of what such layers give do there."
        )
    if has_near_ties(port.program):
        notes.append(
            "Of MaxPooling3D TensorFlow gives the gradient, on a CPU, to every value within 1e-5 of the "
            "largest: the gradients here were compared with the same done; torch gives it to one (D52)."
        )
    if compared.spread:
        notes.append(
            f"{len(compared.spread)} float32 gradients were held to thrice what copies of the port with "
            f'other last bits are apart ("{compared.spread[0]}" is the first): they hold in float64.'
        )
    if compared.expected:
        notes.append(
            f"{len(compared.expected)} float32 outputs were held to a multiple of what Keras's round-off is "
            f'in other draws ("{compared.expected[0]}" is the first), as weights with other last bits show: '
            "the draw that was recorded is smaller. They hold in float64."
        )
    untold = [
        (line.name, run)
        for line in compared.lines
        for run, figure in line.figures.items()
        if not figure.tells and line.name not in compared.spread
    ]
    if untold:
        name, run = untold[0]
        notes.append(
            f"{len(untold)} figures tell nothing, as Keras's own round-off is that large ({run}, "
            f'"{name}" is the first): there the other runs are the evidence.'
        )
    notes += [
        f"{attempt.package} could not load the file: {attempt.unread}. It was given the model's config, and "
        "the weights as they were read here: that they are read as Keras reads them was not compared."
        for attempt in attempts
        if attempt.unread
    ]
    notes += [f"{attempt.package} could not: {attempt.reason}" for attempt in attempts if attempt.reason]
    if _generation(port.file.keras_version) != _generation(said["versions"]["keras"]):
        notes.append(
            f"The file was written by Keras {port.file.keras_version} and run in "
            f"{said['versions']['keras']}: where the two generations differ, the layer parts."
        )
    versions = {
        **{f"{name} (Keras's side)": str(version) for name, version in said["versions"].items()},
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    own = [
        line
        for line in compared.lines
        for run, figure in line.figures.items()
        if run.startswith(FLOAT32) and figure.holds and figure.residual > FORWARD[FLOAT32]
        if line.name not in (*compared.spread, *compared.expected)
    ]
    if own:
        notes.append(
            f"{len(own)} float32 figures are over {FORWARD[FLOAT32]:.0e} of round-off: float32 Keras is off "
            f'from float64 Keras by as much there ("{own[0].name}" is the first).'
        )
    augmenting = tuple(
        "/".join(path) for path, layer in port.file.graph.walk() if layer.graph is None and augments(layer)
    )
    if augmenting:
        notes.append(
            f"{len(augmenting)} layers augment while Keras trains, and do nothing in inference, which was "
            "compared: a training of the port goes without, unless its data are augmented."
        )
    return Proof(compared.lines, tuple(attempts), recording.keras, None, tuple(notes), versions, augmenting)


def _generation(version: str) -> bool:
    return version.split(".")[0] not in ("1", "2")
