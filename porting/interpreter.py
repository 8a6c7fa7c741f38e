"""Runs a program statement by statement, so that the output of every layer can be seen.

Converted code is folded into blocks and leaves no trace of single layers. This is the same program, unfolded:
what it gives is compared with Keras layer by layer, and the converted code with it, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from porting.graph import LayerPath, TensorRef
from porting.modules import make_module, match_buffers, run_piece
from porting.program import Program, Statement
from porting.rules.piece import Order, Piece

Saw = Callable[[LayerPath, int, tuple[Tensor, ...]], None]
"""Told of every layer: its path, which of its calls, and its outputs in Keras's order of axes."""


class Interpreter(nn.Module):
    """A program as a torch module.

    Args:
        program: What to run.
        weights: Each layer's tensors by their names in its module, as `carried` gives them.

    Raises:
        RuntimeError: A weight does not fit its module.
    """

    def __init__(self, program: Program, weights: Mapping[LayerPath, Mapping[str, Tensor]]) -> None:
        super().__init__()
        self.program = program
        self.pieces: dict[LayerPath, nn.Sequential] = {}
        for statement in program.walk():
            if statement.piece is not None and statement.path not in self.pieces:
                made = _made(statement.piece, weights.get(statement.path, {}))
                self.pieces[statement.path] = made
                self.add_module(str(len(self.pieces)), made)

    def forward(self, *inputs: Tensor, saw: Saw | None = None) -> tuple[Tensor, ...]:
        """The program's outputs.

        Args:
            inputs: In the program's order of axes.
            saw: Told of every layer's output.
        """
        return self._run(self.program, inputs, saw)

    def _run(self, program: Program, inputs: tuple[Tensor, ...], saw: Saw | None) -> tuple[Tensor, ...]:
        tensors = dict(zip(program.graph.inputs, inputs, strict=True))
        uses = Counter(ref for statement in program.statements for ref in statement.call.inputs)
        uses.update(program.graph.outputs)
        for statement in program.statements:
            given = tuple(tensors[ref] for ref in statement.call.inputs)
            uses.subtract(statement.call.inputs)
            for ref in set(statement.call.inputs):
                # Nothing is held longer than it is needed: a deep net's tensors are larger than its weights.
                if not uses[ref]:
                    del tensors[ref]
            outputs = self._outputs(statement, given, saw)
            if saw is not None:
                pairs = zip(outputs, statement.outputs, strict=True)
                in_keras_order = tuple(tensor.permute(_inverse(value.order)) for tensor, value in pairs)
                saw(statement.path, statement.call.number, in_keras_order)
            for number, output in enumerate(outputs):
                tensors[TensorRef(statement.call.layer, statement.call.number, number)] = output
        return tuple(tensors[ref] for ref in program.graph.outputs)

    def _outputs(
        self, statement: Statement, given: tuple[Tensor, ...], saw: Saw | None
    ) -> tuple[Tensor, ...]:
        if statement.program is not None:
            return self._run(statement.program, given, saw)
        piece = statement.piece
        assert piece is not None
        wanted = zip(given, statement.inputs, piece.orders, strict=True)
        turned = [turn(tensor, value.order, order) for tensor, value, order in wanted]
        return (run_piece(piece, list(self.pieces[statement.path]), turned),)


def turn(tensor: Tensor, have: Order, want: Order) -> Tensor:
    """A tensor in another order of axes."""
    return tensor if have == want else tensor.permute(permutation(have, want))


def permutation(have: Order, want: Order) -> tuple[int, ...]:
    """What `Tensor.permute` takes to bring one order into another."""
    return tuple(have.index(axis) for axis in want)


def _inverse(order: Order) -> tuple[int, ...]:
    return permutation(order, tuple(range(len(order))))


def _made(piece: Piece, tensors: Mapping[str, Tensor]) -> nn.Sequential:
    modules = []
    for step in piece.steps:
        module = make_module(step.make, piece.custom)
        if not step.suffix and tensors:
            # The tensors are the file's own: nothing is copied.
            missing = module.load_state_dict(dict(tensors), strict=False, assign=True).missing_keys
            if set(missing) - {"num_batches_tracked"}:
                raise RuntimeError(f"no weight for {', '.join(sorted(missing))}")
            match_buffers(module)
        modules.append(module)
    return nn.Sequential(*modules)
