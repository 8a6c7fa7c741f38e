"""Gradients over their bounds, held to how far the port parts from itself.

In float32 a ReLU or a pooling may switch at a tie in one computation and not in another, and every gradient
behind it is another: in Keras and the port, and in the port and a copy of it whose weights are changed in
their last bits (porting/last_bits.py). A fault is in all copies alike, and shows in float64, too, where such
ties do not occur: only arrays that hold there are looked at again.

In float64 it is the same where Keras rounds constants to float32 (precision.py): copies in which the outputs
of those layers are changed in float32's last bits tell what that may do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from porting.carried_weights import layers_of
from porting.last_bits import IN_INFERENCE, PROBES, TIMES_OWN_SPREAD
from porting.program import Program
from porting.proof.own_error import Change, Weights, change_outputs, change_weights, copy_of
from porting.proof.port import run_program
from porting.proof.precision import Precision
from porting.proof.recording import FLOAT32, FLOAT64, RANDOM, Recording
from porting.proof.residuals import GRADIENT, ROUNDED, Figure, rows_apart
from porting.proof.verdict import Line

OF_CONVERTED = ", converted model"
"""Ends the names of what is the converted model's."""


def allow_own_spread(
    lines: dict[str, Line],
    program: Program,
    weights: Weights,
    recording: Recording,
    precision: Precision,
) -> list[str]:
    """Judges gradients once more, of rounded numbers in float64, and in float32.

    Args:
        lines: Of the gradients, by name. Changed in place.
        program: The port.
        weights: Its tensors.
        recording: Keras's side.
        precision: Knows where Keras rounds.

    Returns:
        The names of those that were allowed more in float32.
    """
    rounded = [name for name, line in lines.items() if _is_over_of_rounded(line)]
    _allow(lines, rounded, FLOAT64, change_outputs(precision.paths), program, weights, recording)
    over = [name for name, line in lines.items() if _is_over_in_float32(line)]
    _allow(lines, over, FLOAT32, change_weights(IN_INFERENCE[FLOAT32]), program, weights, recording)
    return [name for name in over if lines[name].holds]


def _allow(
    lines: dict[str, Line],
    over: list[str],
    dtype: str,
    change: Change,
    program: Program,
    weights: Weights,
    recording: Recording,
) -> None:
    """Allows the lines named what the port's copies are apart in a dtype."""
    if not over:
        return
    own = _gradients(program, weights, recording, dtype)
    spread = dict.fromkeys(over, 0.0)
    for probe in range(PROBES):
        nudged = _gradients(program, weights, recording, dtype, change, probe)
        for name in over:
            # The converted model computes what the program does.
            same = name.removesuffix(OF_CONVERTED)
            if same in own and same in nudged:
                apart = rows_apart(nudged[same].reshape(1, -1), own[same].reshape(1, -1))
                spread[name] = max(spread[name], apart)
    for name in over:
        run = f"{dtype} {RANDOM}"
        figure = lines[name].figures[run]
        allowed = max(figure.allowed, TIMES_OWN_SPREAD * spread[name])
        judged = {**lines[name].figures, run: Figure(figure.residual, allowed)}
        lines[name] = replace(lines[name], figures=judged)


def _is_over_of_rounded(line: Line) -> bool:
    figure = line.figures.get(f"{FLOAT64} {RANDOM}")
    return not line.fault and figure is not None and not figure.holds and figure.allowed == GRADIENT[ROUNDED]


def _is_over_in_float32(line: Line) -> bool:
    figures = line.figures
    run = f"{FLOAT32} {RANDOM}"
    if line.fault or run not in figures or figures[run].holds:
        return False
    return any(name.startswith(FLOAT64) and figure.holds for name, figure in figures.items())


def _gradients(
    program: Program,
    weights: Weights,
    recording: Recording,
    dtype: str,
    change: Change | None = None,
    probe: int = 0,
) -> dict[str, np.ndarray]:
    """A copy's gradients of the random batch by the names of their lines.

    Args:
        program: The port.
        weights: Its tensors.
        recording: Holds the inputs.
        dtype: In which it runs.
        change: Done to it before.
        probe: Which of the changes.
    """
    interpreter = copy_of(program, weights, dtype, change, probe)
    run = run_program(interpreter, recording, dtype, RANDOM)
    found = {}
    for path, piece in layers_of(program):
        for step, module in zip(piece.steps, interpreter.pieces[path], strict=True):
            parameters = {} if step.suffix else dict(module.named_parameters())
            for name, place in piece.weights.items():
                parameter = parameters.get(place.attribute)
                if parameter is not None and parameter.grad is not None:
                    found["/".join((*path, name))] = parameter.grad.numpy()
    for said, gradient in zip(recording.said["inputs"], run.input_gradients, strict=False):
        if gradient is not None:
            found[f"input {said['name']}"] = gradient
    return found
