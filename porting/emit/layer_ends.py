"""Where each Keras layer ends in the forward that was written for it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from porting.emit.model_source import ModelRun
from porting.emit.operations import Operation
from porting.graph import LayerPath
from porting.layer_ends import End, Layer, TorchCalls
from porting.modules import NAMES
from porting.output_shapes import Shape
from porting.program import EXAMPLES, OPEN_SIDE, Program

_Place = tuple[str, int, int]
"""A module, which of its runs, and the calls since."""


def layers_in(runs: Mapping[LayerPath, ModelRun], program: Program) -> dict[LayerPath, Layer]:
    """Every layer that is no model: its modules, where it ends, and the axes of what it gives.

    Args:
        runs: What each model of the source does in its forward.
        program: That the source was written for.
    """
    walk = _Walk(runs, program)
    walk.through((), "")
    axes = {statement.path: statement.outputs[0].order for statement in program.walk() if statement.piece}
    return {
        path: Layer(
            tuple(walk.modules[path]),
            tuple(End(*place, walk.calls[place[:2]]) for place in walk.ends[path]),
            order,
        )
        for path, order in axes.items()
    }


class _Walk:
    """Goes through the forward of a model as it runs.

    Attributes:
        modules: Of each layer, as keys.
        ends: Where each layer ends, each time that it runs.
        calls: How many calls of torch lie between a run of a module and that of the next one.
    """

    def __init__(self, runs: Mapping[LayerPath, ModelRun], program: Program) -> None:
        self.modules: dict[LayerPath, dict[str, None]] = defaultdict(dict)
        self.ends: dict[LayerPath, list[_Place]] = defaultdict(list)
        self.calls: dict[tuple[str, int], int] = {}
        self._runs, self._numbers = runs, Counter[str]()
        self._place: _Place = ("", 1, 0)
        self._own = dict(_own_functions(program))

    def through(self, path: LayerPath, prefix: str) -> None:
        """Goes through a model.

        Args:
            path: Of its layer; () of the whole model.
            prefix: Of its modules' names.
        """
        run = self._runs[path]
        shapes = dict(run.inputs)
        ending: dict[int, list[LayerPath]] = defaultdict(list)
        for layer, tensor in run.given:
            ending[tensor].append(layer)
        for operation, attribute in run.steps:
            if operation.program is not None:
                self.through(operation.path, f"{prefix}{attribute}.")
            elif attribute is not None:
                self._run(operation.path, f"{prefix}{attribute}")
            else:
                self._call(operation, [shapes[tensor] for tensor in operation.inputs])
            shapes |= zip(operation.outputs, operation.shapes, strict=True)
            # Of several outputs of a model inside it is open which its last step gives.
            if len(operation.outputs) == 1:
                for layer in ending[operation.outputs[0]]:
                    self.ends[layer].append(self._place)

    def _run(self, layer: LayerPath, module: str) -> None:
        self.modules[layer][module] = None
        self._numbers[module] += 1
        self._place = (module, self._numbers[module], 0)
        self.calls[self._place[:2]] = 0

    def _call(self, operation: Operation, shapes: list[Shape]) -> None:
        module, number, calls = self._place
        assert operation.function is not None
        calls += self._calls_in(operation.function, shapes)
        self._place = (module, number, calls)
        self.calls[module, number] = calls

    def _calls_in(self, function: str, shapes: list[Shape]) -> int:
        """How many calls of torch an expression is: it is run, on tensors without memory where it can be."""
        names = [f"tensor{place}" for place in range(len(shapes))]
        device = "cpu" if self._own else "meta"
        sizes = [(EXAMPLES, *(side or OPEN_SIDE for side in shape[1:])) for shape in shapes]
        tensors = {name: torch.zeros(size, device=device) for name, size in zip(names, sizes, strict=True)}
        seen: list[Tensor] = []
        with torch.no_grad(), TorchCalls(seen.append):
            eval(function.format(*names), {**NAMES, **self._own, **tensors})
        return len(seen)


def _own_functions(program: Program) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions of the user's own."""
    for statement in program.walk():
        if statement.piece is not None and statement.piece.custom is not None:
            yield statement.piece.custom.function, statement.piece.custom.load()
