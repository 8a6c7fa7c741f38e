"""Float32 gradients over their bounds, held to how far the port parts from itself.

In float32 a ReLU or a pooling may switch at a tie in one computation and not in another, and every gradient
behind it is another: in Keras and the port, and in the port and a copy of it whose weights are changed in
their last bits (porting/last_bits.py). A fault is in all copies alike, and shows in float64, too, where such
ties do not occur: only arrays that hold there are looked at again. Where Keras has no float64, as of
MaxPooling3D, the copies alone decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from porting.carried_weights import layers_of
from porting.graph import LayerPath
from porting.interpreter import Interpreter
from porting.last_bits import NUDGE, PROBES, TIMES_OWN_SPREAD, nudge_weights
from porting.program import Program
from porting.proof.port import run_program
from porting.proof.recording import FLOAT32, FLOAT64, RANDOM, Recording
from porting.proof.residuals import Figure, rows_apart
from porting.proof.verdict import Line

Weights = Mapping[LayerPath, Mapping[str, Tensor]]
OF_CONVERTED = ", converted model"
"""Ends the names of what is the converted model's."""
_RUN = f"{FLOAT32} {RANDOM}"


def allow_own_spread(
    lines: dict[str, Line], program: Program, weights: Weights, recording: Recording
) -> list[str]:
    """Judges gradients once more where float32 does not hold, and float64 does or is not there.

    Args:
        lines: Of the gradients, by name. Changed in place.
        program: The port.
        weights: Its tensors.
        recording: Keras's side.

    Returns:
        The names of those that were allowed more.
    """
    has_float64 = FLOAT64 in recording.dtypes
    over = [name for name, line in lines.items() if _is_over(line, has_float64)]
    if not over:
        return []
    own = _gradients(program, weights, recording, None)
    spread = dict.fromkeys(over, 0.0)
    for probe in range(PROBES):
        nudged = _gradients(program, weights, recording, probe)
        for name in over:
            # The converted model computes what the program does.
            same = name.removesuffix(OF_CONVERTED)
            if same in own and same in nudged:
                apart = rows_apart(nudged[same].reshape(1, -1), own[same].reshape(1, -1))
                spread[name] = max(spread[name], apart)
    for name in over:
        figure = lines[name].figures[_RUN]
        allowed = max(figure.allowed, TIMES_OWN_SPREAD * spread[name])
        judged = {**lines[name].figures, _RUN: Figure(figure.residual, allowed)}
        lines[name] = replace(lines[name], figures=judged)
    return [name for name in over if lines[name].holds]


def _is_over(line: Line, has_float64: bool) -> bool:
    figures = line.figures
    if line.fault or _RUN not in figures or figures[_RUN].holds:
        return False
    if not has_float64:
        return True
    return any(name.startswith(FLOAT64) and figure.holds for name, figure in figures.items())


def _gradients(
    program: Program, weights: Weights, recording: Recording, probe: int | None
) -> dict[str, np.ndarray]:
    """A copy's gradients of the random batch in float32 by the names of their lines.

    Args:
        program: The port.
        weights: Its tensors.
        recording: Holds the inputs.
        probe: Which of the nudged copies; None: the port as it is.
    """
    copies = {path: {name: each.clone() for name, each in named.items()} for path, named in weights.items()}
    interpreter = Interpreter(program, copies).to(torch.float32).eval()
    if probe is not None:
        nudge_weights(interpreter, probe, NUDGE[FLOAT32])
    run = run_program(interpreter, recording, FLOAT32, RANDOM)
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
