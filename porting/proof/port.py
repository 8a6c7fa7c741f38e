"""Runs the port on the recorded inputs: the program layer by layer, and the converted model as a whole."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from keras_reference.record_file import call_name
from porting.graph import LayerPath
from porting.interpreter import Interpreter, turn
from porting.program import Program
from porting.proof.recording import RANDOM, Kept, Recording
from porting.rules.piece import Value, keras_order


@dataclass
class Run:
    """What the port gave for one batch in one dtype.

    Attributes:
        calls: Every call of a layer in the order made, with its outputs.
        shapes: Their shapes, as far as the program states them.
        outputs: The model's, in Keras's order of axes.
        input_gradients: In Keras's order of axes; None where there is none. Empty of the extreme batch.
        fault: What it raised, or "".
    """

    calls: dict[str, list[Kept]] = field(default_factory=dict)
    shapes: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    outputs: list[np.ndarray] = field(default_factory=list)
    input_gradients: list[np.ndarray | None] = field(default_factory=list)
    fault: str = ""


class Names:
    """Gives calls their names from the outermost model inwards.

    An inner call is told of before the call of the model around it: its name waits for that.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[LayerPath, list[int], Callable[[str], None]]] = []

    def told(self, path: LayerPath, number: int, then: Callable[[str], None]) -> None:
        """Takes in a call; `then` is called with its name as soon as that is known."""
        for whole, numbers, _ in self._waiting:
            # Those that lie in this call, and not in an earlier call of the same model.
            if whole[: len(path)] == path and len(whole) - len(numbers) == len(path):
                numbers.insert(0, number)
        self._waiting.append((path, [number], then))
        if len(path) == 1:
            for whole, numbers, named in self._waiting:
                named(call_name(whole, numbers))
            self._waiting.clear()


def run_program(interpreter: Interpreter, recording: Recording, dtype: str, batch: str) -> Run:
    """Runs the program layer by layer; the interpreter holds the random batch's gradients afterwards."""
    run, names = Run(), Names()
    arrays = recording.inputs(batch)
    size = len(arrays[0])

    def saw(path: LayerPath, number: int, outputs: tuple[Tensor, ...]) -> None:
        given = [output.detach() for output in outputs]

        def keep(name: str) -> None:
            run.calls[name] = [kept(f"{name}:{place}", output) for place, output in enumerate(given)]
            run.shapes[name] = [tuple(output.shape) for output in given]

        names.told(path, number, keep)

    def kept(name: str, output: Tensor) -> Kept:
        return recording.keep(name, as_array(output, dtype), size)

    def call(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        return interpreter(*tensors, saw=saw)

    interpreter.zero_grad()
    _run(run, call, interpreter.program, recording, dtype, batch)
    return run


def run_converted(model: nn.Module, program: Program, recording: Recording, dtype: str, batch: str) -> Run:
    """Runs the converted model: its `probabilities` where it has them, which is what Keras's model gives."""
    run = Run()
    twin = copy.deepcopy(model).to(getattr(torch, dtype)).eval()
    forward = getattr(twin, "probabilities", twin)

    def call(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        given = forward(*tensors)
        return list(given) if isinstance(given, tuple | list) else [given]

    _run(run, call, program, recording, dtype, batch)
    return run


def _run(
    run: Run,
    call: Callable[[Sequence[Tensor]], Sequence[Tensor]],
    program: Program,
    recording: Recording,
    dtype: str,
    batch: str,
) -> None:
    """Fills a run; what the port raises becomes its fault."""
    differentiates = batch == RANDOM
    tensors = tensors_of(recording, program.inputs, dtype, batch)
    leaves = [tensor.requires_grad_(differentiates and tensor.is_floating_point()) for tensor in tensors]
    given = [
        turn(leaf, keras_order(leaf.dim()), v.order) for leaf, v in zip(leaves, program.inputs, strict=True)
    ]
    try:
        with torch.set_grad_enabled(differentiates):
            outputs = list(call(given))
            pairs = zip(outputs, program.outputs, strict=True)
            outputs = [turn(output, value.order, keras_order(output.dim())) for output, value in pairs]
        run.outputs = [as_array(output, dtype) for output in outputs]
        if differentiates:
            _differentiate(run, outputs, leaves, recording)
    # Whatever it is, it is the port's: the proof says so.
    except Exception as error:
        run.fault = " ".join(f"the port raises {type(error).__name__}: {error}".split())


def _differentiate(
    run: Run, outputs: Sequence[Tensor], leaves: Sequence[Tensor], recording: Recording
) -> None:
    total: Tensor | float = 0.0
    for number, output in enumerate(outputs):
        cotangent = torch.from_numpy(recording.cotangent(number, tuple(output.shape)))
        total = total + (output * cotangent.to(output.dtype)).sum()
    assert isinstance(total, Tensor)
    if total.requires_grad:
        total.backward()
    run.input_gradients = [None if leaf.grad is None else leaf.grad.numpy() for leaf in leaves]


def tensors_of(recording: Recording, inputs: Sequence[Value], dtype: str, batch: str) -> list[Tensor]:
    """The recorded inputs as tensors, in Keras's order of axes; whole numbers where Keras's are."""
    tensors = []
    for array, said, _ in zip(recording.inputs(batch), recording.said["inputs"], inputs, strict=True):
        is_float = said["dtype"].startswith(("float", "bfloat"))
        tensors.append(torch.from_numpy(array).to(getattr(torch, dtype) if is_float else torch.int64))
    return tensors


def as_array(tensor: Tensor, dtype: str) -> np.ndarray:
    """A tensor as an array of the run's dtype."""
    return tensor.detach().to(getattr(torch, dtype)).numpy()
