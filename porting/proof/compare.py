"""Holds the port against the recording: structure, weights, every call of a layer, outputs, gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from porting.carried_weights import carried
from porting.interpreter import Interpreter
from porting.keras_file import KerasFile
from porting.program import Program
from porting.proof.activations import Runs, call_lines, output_lines
from porting.proof.gradients import input_gradient_lines, weight_gradient_lines
from porting.proof.near_ties import NearTiesShare, has_near_ties
from porting.proof.own_error import LAST_BIT, OwnErrors, change_outputs, change_weights, moved_by_last_bits
from porting.proof.own_spread import OF_CONVERTED, allow_own_spread
from porting.proof.port import run_converted, run_program
from porting.proof.precision import Precision
from porting.proof.recording import FLOAT32, FLOAT64, RANDOM, Recording
from porting.proof.steps import Tell, untold
from porting.proof.structure import structure_lines, weight_lines
from porting.proof.verdict import Line


@dataclass(frozen=True)
class Port:
    """A model of a file in torch.

    Attributes:
        file: The file.
        program: What the rules made of it.
        converted: The model as its user gets it; None: the program alone is compared.
    """

    file: KerasFile
    program: Program
    converted: nn.Module | None = None


@dataclass(frozen=True)
class Compared:
    """What was compared.

    Attributes:
        lines: In the order of the rungs.
        rounded: The calls whose results or constants Keras holds in float32, where it did.
        spread: The gradients that were held to the port's own spread, since float32 has ties.
        expected: The float32 outputs that were held to what other draws of Keras's round-off would be.
    """

    lines: tuple[Line, ...]
    rounded: tuple[str, ...]
    spread: tuple[str, ...]
    expected: tuple[str, ...]


def compare(port: Port, recording: Recording, tell: Tell = untold) -> Compared:
    """Compares everything; `tell` takes the name of each step as it begins."""
    with ExitStack() as stack:
        stack.enter_context(_without_onednn())
        if has_near_ties(port.program):
            stack.enter_context(NearTiesShare())
        return _compare(port, recording, tell)


@contextmanager
def _without_onednn() -> Iterator[None]:
    """torch's own kernels: those of oneDNN are not what is to be proven.

    The gradient of `Conv2d(8, 16, 1, stride=2)` in channels_last takes the process with it in oneDNN, of
    torch 2.15 as of TF 2.21, on an x86 with AMX.
    """
    was = torch.backends.mkldnn.set_flags(False, _fp32_precision=None)[0]
    try:
        yield
    finally:
        torch.backends.mkldnn.set_flags(was, _fp32_precision=None)


def _compare(port: Port, recording: Recording, tell: Tell) -> Compared:
    precision = Precision(port.file, recording)
    weights = carried(port.file, port.program)
    lines = [*structure_lines(port.file, recording), *weight_lines(port.file, recording)]
    runs: Runs = {}
    gradients: dict[str, Line] = {}
    for dtype in recording.dtypes:
        interpreter = Interpreter(port.program, weights).to(getattr(torch, dtype)).eval()
        for batch in recording.batches:
            tell(f"the port runs in {dtype}, {batch} inputs")
            run = runs[dtype, batch] = run_program(interpreter, recording, dtype, batch)
            precision.learn(run, dtype, batch)
            if batch == RANDOM:
                _join(gradients, weight_gradient_lines(port.file, interpreter, recording, precision, dtype))
                _join(gradients, input_gradient_lines(run, recording, precision, dtype, ""))
    ends: Runs = {}
    if port.converted is not None:
        for dtype, batch in runs:
            tell(f"model.py runs in {dtype}, {batch} inputs")
            run = ends[dtype, batch] = run_converted(port.converted, port.program, recording, dtype, batch)
            if batch == RANDOM:
                _join(gradients, input_gradient_lines(run, recording, precision, dtype, OF_CONVERTED))
    tell("both are compared")
    own = OwnErrors(recording)
    outputs = _output_lines(runs, ends, recording, precision, own)
    for batch in recording.batches if not precision.exact else ():
        if any(_is_over(line, f"{FLOAT64} {batch}") for line in outputs):
            run, change = runs[FLOAT64, batch], change_outputs(precision.paths)
            moved = moved_by_last_bits(port.program, weights, recording, run, batch, change)
            own.expect_rounded(batch, moved)
            outputs = _output_lines(runs, ends, recording, precision, own)
    over = [line for line in outputs if not line.holds]
    if over and all(_differs_in_float32_alone(line) for line in over):
        for batch in recording.batches:
            if any(not line.figures[f"{FLOAT32} {batch}"].holds for line in over):
                run, change = runs[FLOAT64, batch], change_weights(LAST_BIT)
                moved = moved_by_last_bits(port.program, weights, recording, run, batch, change)
                own.expect(batch, moved)
        outputs = _output_lines(runs, ends, recording, precision, own)
    left = {(line.name, line.kind) for line in outputs if not line.holds}
    expected = tuple(line.name for line in over if (line.name, line.kind) not in left)
    spread = allow_own_spread(gradients, port.program, weights, recording, precision)
    rounded = () if precision.exact else tuple(precision.rounding)
    judged = tuple(told(line) for line in (*lines, *outputs, *gradients.values()))
    return Compared(judged, rounded, tuple(spread), expected)


def _output_lines(
    runs: Runs, ends: Runs, recording: Recording, precision: Precision, own: OwnErrors
) -> list[Line]:
    """Every call, and the outputs of the whole: of the layers, and of the converted model."""
    lines = [*call_lines(runs, recording, precision, own)]
    lines += output_lines(runs, recording, precision, own, "the layers")
    return [*lines, *(output_lines(ends, recording, precision, own, "converted model") if ends else ())]


def _differs_in_float32_alone(line: Line) -> bool:
    """Whether its float64 is Keras's: then how far it moves there is how far Keras's moves."""
    figures = line.figures.items()
    is_float64 = any(run.startswith(FLOAT64) for run, _ in figures)
    return (
        not line.fault
        and is_float64
        and all(figure.holds for run, figure in figures if run.startswith(FLOAT64))
    )


def _is_over(line: Line, run: str) -> bool:
    return not line.fault and run in line.figures and not line.figures[run].holds


def told(line: Line) -> Line:
    """A line of which no figure tells anything parts: nothing of it is proven."""
    figures = line.figures.values()
    if line.fault or not figures or any(figure.tells or not figure.holds for figure in figures):
        return line
    narrowest = min(figure.allowed for figure in figures)
    return replace(line, fault=f"hangs on round-off: Keras's own allows {narrowest:.2g}, nothing is seen")


def _join(lines: dict[str, Line], more: Iterator[Line]) -> None:
    """Joins the lines of one name, each from another dtype."""
    for line in more:
        had = lines.get(line.name, line)
        lines[line.name] = replace(
            had, figures={**had.figures, **line.figures}, fault=had.fault or line.fault
        )
