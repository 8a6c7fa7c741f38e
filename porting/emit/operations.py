"""A program as single operations on numbered tensors, branch by branch.

Keras runs the branches of a net in turns, layer by layer. Here each branch is whole before the next one
begins, which is how a person writes them down; what is computed is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from porting.graph import LayerPath, TensorRef
from porting.interpreter import permutation
from porting.output_shapes import Shape
from porting.program import Program, Statement
from porting.rules.piece import Make, Order

ModuleKey = tuple[LayerPath, str]
"""A module by its layer and the suffix of its step."""


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        inputs: The tensors it takes, by number.
        outputs: Those it gives; several of a model inside only.
        path: The Keras layer's.
        key: Which module it is; None of a merge.
        make: The module; None of a merge.
        function: The operation as an expression of its inputs; None: it has to be a module.
        program: Of a model inside: its statements.
        shapes: Of the outputs, as torch has them.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    path: LayerPath
    key: ModuleKey | None
    make: Make | None
    function: str | None
    program: Program | None
    shapes: tuple[Shape, ...]

    @property
    def layer(self) -> str:
        """The Keras layer's name."""
        return self.path[-1]


@dataclass(frozen=True)
class Operations:
    """A model, operation by operation.

    Attributes:
        operations: In an order in which they can run.
        inputs: The tensors that the model takes.
        outputs: Those that it gives.
        given: Each call of a layer that is no model: the layer, and the tensor that it gives.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    given: tuple[tuple[LayerPath, int], ...] = ()


class _Numbering:
    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.count = 0

    def new(self) -> int:
        self.count += 1
        return self.count - 1

    def add(
        self,
        inputs: Sequence[int],
        shape: Shape,
        statement: Statement,
        *,
        suffix: str | None = None,
        make: Make | None = None,
        function: str | None = None,
    ) -> int:
        output = self.new()
        key = None if suffix is None else (statement.path, suffix)
        self.operations.append(
            Operation(tuple(inputs), (output,), statement.path, key, make, function, None, (shape,))
        )
        return output


def operations_of(program: Program) -> Operations:
    """The operations of a program; those of models inside it stay inside."""
    numbering = _Numbering()
    tensors: dict[TensorRef, int] = {ref: numbering.new() for ref in program.graph.inputs}
    # Two branches may ask for the same other order of a tensor.
    turned: dict[tuple[int, Order], int] = {}
    gives: list[tuple[LayerPath, int]] = []
    for statement in program.statements:
        given = [tensors[ref] for ref in statement.call.inputs]
        if statement.program is not None:
            outputs = tuple(numbering.new() for _ in statement.outputs)
            shapes = tuple(value.torch_shape for value in statement.outputs)
            key = (statement.path, "")
            numbering.operations.append(
                Operation(tuple(given), outputs, statement.path, key, None, None, statement.program, shapes)
            )
        else:
            outputs = (_apply(statement, given, numbering, turned),)
            gives.append((statement.path, outputs[0]))
        for number, output in enumerate(outputs):
            tensors[TensorRef(statement.call.layer, statement.call.number, number)] = output
    ends = tuple(tensors[ref] for ref in program.graph.outputs)
    starts = tuple(tensors[ref] for ref in program.graph.inputs)
    return Operations(_branch_by_branch(numbering.operations, ends), starts, ends, tuple(gives))


def _apply(
    statement: Statement, given: list[int], numbering: _Numbering, turned: dict[tuple[int, Order], int]
) -> int:
    piece = statement.piece
    assert piece is not None
    final = statement.outputs[0].torch_shape
    inputs: list[int] = []
    for tensor, value, order in zip(given, statement.inputs, piece.orders, strict=True):
        if value.order != order and (tensor, order) not in turned:
            axes = permutation(value.order, order)
            turned[tensor, order] = numbering.add(
                [tensor],
                replace(value, order=order).torch_shape,
                statement,
                suffix="_permute" if tensor == given[0] else f"_permute{len(inputs) + 1}",
                make=Make("Permute", {f"axis{place}": axis for place, axis in enumerate(axes)}),
                function=f"{{}}.permute({', '.join(map(str, axes))})",
            )
        inputs.append(tensor if value.order == order else turned[tensor, order])
    if piece.merge is not None:
        inputs = [numbering.add(inputs, final, statement, function=piece.merge)]
    if piece.takes:
        inputs = [inputs[place] for place in piece.takes]
    for step in piece.steps:
        added = numbering.add(
            inputs, final, statement, suffix=step.suffix, make=step.make, function=step.function
        )
        inputs = [added]
    return inputs[0]


def _branch_by_branch(operations: list[Operation], ends: Sequence[int]) -> tuple[Operation, ...]:
    makers = {output: operation for operation in operations for output in operation.outputs}
    done: dict[int, Operation] = {}
    stack: list[tuple[int, bool]] = [(end, False) for end in reversed(ends)]
    while stack:
        tensor, is_ready = stack.pop()
        operation = makers.get(tensor)
        if operation is None or operation.outputs[0] in done:
            continue
        if is_ready:
            done[operation.outputs[0]] = operation
            continue
        stack.append((tensor, True))
        stack += [(source, False) for source in reversed(operation.inputs)]
    return tuple(done.values())
