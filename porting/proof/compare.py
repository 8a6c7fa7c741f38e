"""Holds the port against the recording: structure, weights, every call of a layer, outputs, gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn

from porting.carried_weights import carried
from porting.interpreter import Interpreter
from porting.keras_file import KerasFile
from porting.program import Program
from porting.proof.activations import Runs, call_lines, output_lines
from porting.proof.gradients import input_gradient_lines, weight_gradient_lines
from porting.proof.own_spread import OF_CONVERTED, allow_own_spread
from porting.proof.port import run_converted, run_program
from porting.proof.precision import Precision
from porting.proof.recording import RANDOM, Recording
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
    """

    lines: tuple[Line, ...]
    rounded: tuple[str, ...]
    spread: tuple[str, ...]


def compare(port: Port, recording: Recording) -> Compared:
    """Compares everything."""
    with _without_onednn():
        return _compare(port, recording)


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


def _compare(port: Port, recording: Recording) -> Compared:
    precision = Precision(port.file, recording)
    weights = carried(port.file, port.program)
    lines = [*structure_lines(port.file, recording), *weight_lines(port.file, recording)]
    runs: Runs = {}
    gradients: dict[str, Line] = {}
    for dtype in recording.dtypes:
        interpreter = Interpreter(port.program, weights).to(getattr(torch, dtype)).eval()
        for batch in recording.batches:
            run = runs[dtype, batch] = run_program(interpreter, recording, dtype, batch)
            precision.learn(run, dtype, batch)
            if batch == RANDOM:
                _join(gradients, weight_gradient_lines(port.file, interpreter, recording, precision, dtype))
                _join(gradients, input_gradient_lines(run, recording, precision, dtype, ""))
    lines += call_lines(runs, recording, precision)
    lines += output_lines(runs, recording, precision, "the layers")
    if port.converted is not None:
        ends: Runs = {}
        for dtype, batch in runs:
            run = ends[dtype, batch] = run_converted(port.converted, port.program, recording, dtype, batch)
            if batch == RANDOM:
                _join(gradients, input_gradient_lines(run, recording, precision, dtype, OF_CONVERTED))
        lines += output_lines(ends, recording, precision, "converted model")
    spread = allow_own_spread(gradients, port.program, weights, recording)
    rounded = () if precision.exact else tuple(precision.rounding)
    return Compared((*lines, *gradients.values()), rounded, tuple(spread))


def _join(lines: dict[str, Line], more: Iterator[Line]) -> None:
    """Joins the lines of one name, each from another dtype."""
    for line in more:
        had = lines.get(line.name, line)
        lines[line.name] = replace(
            had, figures={**had.figures, **line.figures}, fault=had.fault or line.fault
        )
