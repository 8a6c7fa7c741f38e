"""Compares the gradients of every weight and input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from keras_reference.record_file import checksum
from porting.carried_weights import layers_of
from porting.graph import LayerPath
from porting.interpreter import Interpreter
from porting.keras_file import KerasFile
from porting.keras_file.weight_plan import OTHER_NAMES
from porting.proof.port import Run
from porting.proof.precision import Precision
from porting.proof.recording import FLOAT64, RANDOM, Recording
from porting.proof.residuals import ROUNDED, Figure, allowed, rows_apart
from porting.proof.verdict import GRADIENTS, Line, shape_text


def weight_gradient_lines(
    file: KerasFile, interpreter: Interpreter, recording: Recording, precision: Precision, dtype: str
) -> Iterator[Line]:
    """The gradient of every weight that Keras can train."""
    typical = _typical_gradient(recording, dtype)
    for path, piece in layers_of(interpreter.program):
        described = recording.layers.get(path)
        if described is None or not described["weights"]:
            continue
        module = next(
            made for step, made in zip(piece.steps, interpreter.pieces[path], strict=True) if not step.suffix
        )
        parameters = dict(module.named_parameters())
        numbers = _numbers_of(file, path, described["weights"], described["class"])
        for name, number in numbers.items():
            theirs = recording.gradient(dtype, path, number)
            if theirs is None:
                continue
            line = Line(GRADIENTS, "/".join((*path, name)), described["class"], shape_text(theirs.shape))
            place = piece.weights.get(name)
            parameter = None if place is None else parameters.get(place.attribute)
            if place is None or parameter is None:
                yield Line(line.rung, line.name, line.kind, line.shape, fault="is not trained in the port")
                continue
            ours = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            pair = [place.carried(each) for each in _with_both(recording, dtype, path, number)]
            yield _with_figure(
                line, precision.of_gradient(path, dtype), dtype, ours.detach().numpy(), pair, typical
            )


def _with_both(recording: Recording, dtype: str, path: LayerPath, number: int) -> list[np.ndarray]:
    """Keras's gradient in the dtype, then in float32 and float64 where both are there."""
    dtypes = [dtype, *(recording.dtypes if FLOAT64 in recording.dtypes else ())]
    found = [recording.gradient(each, path, number) for each in dtypes]
    return [each for each in found if each is not None]


def _with_figure(
    line: Line,
    judged: str,
    dtype: str,
    ours: np.ndarray,
    theirs: Sequence[np.ndarray],
    typical: float,
) -> Line:
    """The line with how far `ours` is from the first of `theirs`; the others tell float32's own error."""
    if ours.shape != theirs[0].shape:
        return Line(line.rung, line.name, line.kind, line.shape, fault=f"the port's is of shape {ours.shape}")
    flat = [each.reshape(1, -1) for each in theirs]
    # Of rounded numbers own_spread.py looks again.
    has_own = len(flat) == 3 and judged != ROUNDED
    own = rows_apart(flat[1], flat[2], typical) if has_own else None
    residual = rows_apart(ours.reshape(1, -1), flat[0], typical)
    figure = Figure(residual, allowed(judged, own, "gradient"))
    return Line(line.rung, line.name, line.kind, line.shape, {f"{dtype} {RANDOM}": figure})


def _typical_gradient(recording: Recording, dtype: str) -> float:
    """The usual norm of a weight's gradient: one that all but vanishes is measured by a share of it."""
    found = [
        gradient
        for path, layer in recording.layers.items()
        for number in range(len(layer["weights"]))
        if (gradient := recording.gradient(dtype, path, number)) is not None
    ]
    norms = [float(np.linalg.norm(gradient.astype(np.float64))) for gradient in found]
    return float(np.median(norms)) if norms else 0.0


def input_gradient_lines(
    run: Run, recording: Recording, precision: Precision, dtype: str, of: str
) -> Iterator[Line]:
    for number, said in enumerate(recording.said["inputs"]):
        theirs = recording.input_gradient(dtype, number)
        if theirs is None:
            continue
        line = Line(GRADIENTS, f"input {said['name']}{of}", "input", shape_text(said["shape"]))
        ours = run.input_gradients[number] if number < len(run.input_gradients) else None
        if ours is None:
            fault = run.fault or "the port's outputs do not depend on it"
            yield Line(line.rung, line.name, line.kind, line.shape, fault=fault)
            continue
        both = [recording.input_gradient(each, number) for each in recording.dtypes]
        pair = [theirs, *(each for each in both if each is not None and len(both) == 2)]
        yield _with_figure(line, precision.of_gradient(None, dtype), dtype, ours, pair, 0.0)


def _numbers_of(
    file: KerasFile, path: LayerPath, described: Sequence[Mapping], class_name: str
) -> dict[str, int]:
    """Which of a layer's weights in Keras is which of the file's: by content, then by name, then in order."""
    left = list(range(len(described)))
    numbers = {}
    for name, array in file.weights.get(path, {}).items():
        content = checksum(array.read())
        alike = [number for number in left if described[number]["sha256"] == content]
        short = name.rpartition("/")[2]
        named = [
            number
            for number in alike
            if OTHER_NAMES.get((class_name, described[number]["name"]), described[number]["name"]) == short
        ]
        if alike:
            numbers[name] = (named or alike)[0]
            left.remove(numbers[name])
    return numbers
