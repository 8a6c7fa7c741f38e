"""Files to be proven with their recordings, and ports with a fault in one layer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

from torch import Tensor, nn

from lightning_impl.keras_semantics.profile import PROFILES
from parity_tests.kept import keep
from parity_tests.keras_oracle import ask_keras
from porting.carried_weights import carried
from porting.interpreter import Interpreter
from porting.keras_file import KerasFile, read_keras_file
from porting.program import Program, Statement, program_of
from porting.proof.compare import Port
from porting.proof.recording import Recording
from porting.rules.piece import Carry, Make, Piece

CASES = ("sequential", "functional")
FORMATS = (("tf2.4", "h5"), ("tf2.4", "keras"), ("keras3", "h5"), ("keras3", "keras"))
# Of the small model only.
MORE_FORMATS = (("tf2.4", "saved"), ("tf2.4", "weights.h5"), ("keras3", "weights.h5"))


@dataclass(frozen=True)
class Recorded:
    """A file that Keras wrote, as it was read, and what Keras makes of it."""

    file: KerasFile
    program: Program
    recording: Recording

    @property
    def port(self) -> Port:
        """The port, and as the converted model the whole of the same program."""
        return Port(self.file, self.program, Whole(self.file, self.program))


class Whole(nn.Module):
    """A program as its user would get it.

    Args:
        file: Holds the weights.
        program: What is run.
    """

    def __init__(self, file: KerasFile, program: Program) -> None:
        super().__init__()
        self.net = Interpreter(program, carried(file, program))

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self.net(*inputs)
        return outputs if len(outputs) > 1 else outputs[0]


@cache
def written(case: str, profile: str, ending: str) -> Path:
    """The path of a case's file."""
    name = f"model.{ending}"

    def make(folder: Path) -> None:
        ask_keras("proof.write", profile, case=case, path=str(folder / name))
        ask_keras("proof.record", profile, path=str(folder / name), out=str(folder / "recording"))

    return keep("proof", {"case": case, "profile": profile, "name": name}, make) / name


@cache
def recorded(case: str, profile: str, ending: str) -> Recorded:
    """A case's file, recorded by the Keras that wrote it."""
    path = written(case, profile, ending)
    architecture = path.with_name("model.json")
    file = read_keras_file(path, architecture if architecture.exists() else None)
    return Recorded(file, program_of(file.graph, PROFILES[profile]), Recording(path.parent / "recording"))


def with_fault(program: Program, layer: str, fault: Callable[[Statement], Statement]) -> Program:
    """A program with one layer, of whichever inner model, changed in all of its calls."""
    changed = []
    for statement in program.statements:
        inside = statement.program
        if inside is not None:
            statement = replace(statement, program=with_fault(inside, layer, fault))
        changed.append(fault(statement) if statement.layer.name == layer else statement)
    return replace(program, statements=tuple(changed))


def transposed_kernel(statement: Statement) -> Statement:
    """Height and width of the kernel change places."""
    piece = _piece(statement)
    kernel = piece.weights["kernel"]
    assert kernel.axes is not None
    axes = (*kernel.axes[:2], *reversed(kernel.axes[2:]))
    return replace(
        statement, piece=replace(piece, weights={**piece.weights, "kernel": Carry("weight", axes)})
    )


def other_epsilon(statement: Statement) -> Statement:
    """torch's BatchNorm epsilon in the place of Keras's (D09)."""
    return _remade(statement, lambda make: replace(make, keywords={**make.keywords, "eps": 1e-5}))


def symmetric_padding(statement: Statement) -> Statement:
    """torch's padding in the place of Keras's "same" (D07)."""
    return _remade(
        statement, lambda make: replace(make, callee="nn.Conv2d", keywords={**make.keywords, "padding": 1})
    )


def swapped_branches(statement: Statement) -> Statement:
    """A merging layer takes its two tensors in the other order."""
    call = replace(statement.call, inputs=statement.call.inputs[::-1])
    return replace(statement, call=call, inputs=statement.inputs[::-1])


def cut_gradient(statement: Statement) -> Statement:
    """The same output, but no gradient reaches the first of two branches."""
    return replace(statement, piece=replace(_piece(statement), merge="{0}.detach() + {1}"))


def float32_of_bits(bits: int) -> Callable[[Statement], Statement]:
    """A difference whose first tensor has fewer bits in float32, as TF32's 11 on a GPU; float64 is right."""

    def fault(statement: Statement) -> Statement:
        rounded = f"torch.ldexp(({{0}}.frexp()[0] * 2**{bits}).round() / 2**{bits}, {{0}}.frexp()[1])"
        first = f"({{0}} + ({rounded} - {{0}}).detach() if {{0}}.dtype == torch.float32 else {{0}})"
        return replace(statement, piece=replace(_piece(statement), merge=f"{first} - {{1}}"))

    return fault


def with_small_draw(recording: Recording, *names: str) -> Recording:
    """The recording, as if Keras's round-off had all but vanished in outputs of these names by chance."""
    changed = copy.copy(recording)
    changed._arrays = dict(recording._arrays)
    for batch, name, kept in product(recording.batches, names, ("value", "norm")):
        exact = recording._arrays[f"float64/{batch}/{kept}/{name}"]
        changed._arrays[f"float32/{batch}/{kept}/{name}"] = exact.astype("float32")
    return changed


def _piece(statement: Statement) -> Piece:
    assert statement.piece is not None
    return statement.piece


def _remade(statement: Statement, change: Callable[[Make], Make]) -> Statement:
    piece = _piece(statement)
    steps = tuple(step if step.suffix else replace(step, make=change(step.make)) for step in piece.steps)
    return replace(statement, piece=replace(piece, steps=steps))
