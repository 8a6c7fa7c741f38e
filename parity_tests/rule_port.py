"""A case's file, carried over and run in torch, beside what Keras says of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.profile import PROFILES
from parity_tests.keras_file_makers import describe_here
from parity_tests.keras_oracle import ask_keras_for_files
from parity_tests.rule_cases.case import Case, draw_cotangent
from porting.carried_weights import carried
from porting.convert.conversion import checked_net
from porting.emit.model_source import model_source
from porting.interpreter import Interpreter, turn
from porting.keras_file import hdf5, read_keras_file
from porting.program import Program, program_of
from porting.rules.piece import Carry, keras_order

DTYPES = {"float64": torch.float64, "float32": torch.float32}


@pytest.fixture(scope="module", autouse=True)
def files_are_read_here() -> Iterator[None]:
    """Files of Keras's own are read without a child process for each, in a test file that imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "_ask_child", describe_here)
        yield


class Wrong(Exception):
    """A case that cannot be compared: Keras fails it, or a shape or a name is another."""


@dataclass(frozen=True)
class Answers:
    """What Keras says of a family's cases, and the folder of its files."""

    folder: Path
    arrays: dict[str, np.ndarray]

    def of(self, case: Case) -> dict[str, np.ndarray]:
        """By name: the output and the gradients.

        Raises:
            Wrong: Keras cannot build or run it.
        """
        prefix = f"{case.name}|"
        found = {
            name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)
        }
        if "error" in found:
            raise Wrong(f"Keras: {found['error']}")
        return found

    def files(self, case: Case) -> list[Path]:
        """Those that the case is saved in."""
        paths = [self.folder / f"{case.name}.{suffix}" for suffix in case.formats]
        return [path for path in paths if path.exists()]


@cache
def answers(family: str, profile: str, dtype: str) -> Answers:
    """What Keras says of a family; asked once."""
    return Answers(*ask_keras_for_files("rules.run", profile, family=family, dtype=dtype))


@dataclass(frozen=True)
class Port:
    """The port of a file."""

    program: Program
    net: Interpreter

    @classmethod
    def of(cls, path: Path, profile: str, dtype: str) -> Port:
        """Reads a file and carries it over, in evaluation; the source written of it gives the same."""
        file = read_keras_file(path)
        program = program_of(file.graph, PROFILES[profile])
        with _default(DTYPES[dtype]):
            tensors = carried(file, program)
            net = Interpreter(program, tensors)
            source = model_source(program, "Case", "a case")
            checked_net(source.text, source, tensors, program)
        return cls(program, net.eval())

    def run(self, given: list[Tensor]) -> Tensor:
        """The output for inputs in Keras's order, in Keras's order."""
        turned = [
            turn(tensor, keras_order(tensor.dim()), value.order)
            for tensor, value in zip(given, self.program.inputs, strict=True)
        ]
        (output,) = self.net(*turned)
        (value,) = self.program.outputs
        if any(
            known not in (None, size) for known, size in zip(value.torch_shape, output.shape, strict=True)
        ):
            raise Wrong(f"its shape was said to be {value.torch_shape}, and is {tuple(output.shape)}")
        return turn(output, value.order, keras_order(output.dim()))

    def weights(self) -> Iterator[tuple[str, nn.Module, Carry]]:
        """Each of Keras's weights: its name, the module that has it, and its place there."""
        for statement in self.program.walk():
            piece = statement.piece
            if piece is not None and piece.weights:
                places = [place for place, step in enumerate(piece.steps) if not step.suffix]
                for name, place in piece.weights.items():
                    module = self.net.pieces[statement.path][places[0]]
                    yield "/".join((*statement.path, name)), module, place


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def compared(
    case: Case, path: Path, profile: str, dtype: str, theirs: dict[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Ours and Keras's of the output and of every gradient, in the same order of axes.

    Raises:
        Wrong: A shape or a name is another.
    """
    port = Port.of(path, profile, dtype)
    given = [torch.from_numpy(array).to(DTYPES[dtype]).requires_grad_() for array in case.draw_inputs()]
    output = port.run(given)
    if output.shape != theirs["output"].shape:
        raise Wrong(f"the output is {tuple(output.shape)}, Keras's {theirs['output'].shape}")
    pairs = {"output": (output.detach().numpy(), theirs["output"])}
    (output * torch.from_numpy(draw_cotangent(output.shape)).to(DTYPES[dtype])).sum().backward()
    for place, tensor in enumerate(given):
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        pairs[f"input{place}"] = (gradient.numpy(), theirs[f"input{place}"])
    for name, module, place in port.weights():
        parameter = dict(module.named_parameters()).get(place.attribute)
        if parameter is not None and name in theirs:
            assert parameter.grad is not None
            pairs[name] = (parameter.grad.numpy(), place.carried(theirs[name]))
    if pairs.keys() != theirs.keys():
        raise Wrong(f"only one side has {', '.join(pairs.keys() ^ theirs.keys())}")
    return pairs


def deviation(ours: np.ndarray, theirs: np.ndarray, unit: float | None = None) -> float:
    """The largest, of the largest element or of the unit; of zeros as it is."""
    if ours.shape != theirs.shape:
        raise Wrong(f"{ours.shape} is not {theirs.shape}")
    return float(np.abs(ours - theirs).max() / (unit or np.abs(theirs).max() or 1.0))


def worst(case: Case, family: str, profile: str, dtype: str) -> float:
    """The largest deviation of a case in any format.

    Raises:
        Wrong: It cannot be compared.
        UserError: The file is refused.
    """
    asked = answers(family, profile, dtype)
    theirs = asked.of(case)
    if theirs["output"].dtype != dtype and not case.keras_rounds:
        raise Wrong(f"Keras computes in {theirs['output'].dtype}")
    if not np.ptp(theirs["output"]) > 0:
        raise Wrong("Keras's output is the same everywhere: the case proves nothing")
    largest = max(float(np.abs(array).max()) for name, array in theirs.items() if name != "output")
    return max(
        deviation(*pair, largest if name in case.vanishing else None)
        for path in asked.files(case)
        for name, pair in compared(case, path, profile, dtype, theirs).items()
    )
