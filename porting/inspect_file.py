"""`python -m porting inspect FILE`: what is in a Keras model file, for eyes and as JSON."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from parity_common.command_errors import UserError
from parity_common.run_folder import write_text_atomically
from parity_common.whole_tables import whole_console
from porting.convert.command import profile_of
from porting.convert.conversion import lowered
from porting.graph import Call, Graph, Layer, LayerPath, TensorRef
from porting.keras_file import KerasFile, read_keras_file
from porting.keras_file.problems import shown
from porting.output_shapes import Shape, output_shapes
from porting.refusals import CannotConvert, Refusal, remedy_for

_CELL_CHARACTERS = 200
_LINE_CHARACTERS = 2000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments, and what runs it."""
    parser.add_argument("file", type=Path, help=".h5, .hdf5, .keras, or a SavedModel folder")
    parser.add_argument(
        "--architecture", type=Path, metavar="JSON", help="the model's JSON, for a file of weights alone"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints what a file holds, and writes it as JSON where asked.

    Raises:
        UserError: The file cannot be read, or the JSON cannot be written.
    """
    file = read_keras_file(arguments.file, arguments.architecture)
    shapes, refusals = seen_by_convert(file)
    if arguments.json is not None:
        try:
            write_text_atomically(
                arguments.json, json.dumps(described(file, shapes, refusals), indent=1) + "\n"
            )
        except OSError as error:
            raise UserError(f"--json {arguments.json} cannot be written: {error.strerror}") from error
    _print(file, shapes, refusals)
    return 0


def described(
    file: KerasFile, shapes: Mapping[LayerPath, Shape | None], refusals: Sequence[Refusal]
) -> dict[str, Any]:
    """What a file holds, as JSON has it.

    Args:
        file: The file.
        shapes: Of each layer's output.
        refusals: What cannot be converted.
    """
    return {
        "file": str(file.path),
        "format": file.format,
        "keras_version": file.keras_version,
        "backend": file.backend,
        "model": _described_graph(file.graph, (), file, shapes),
        "parameters": file.parameters,
        "training": None if file.training is None else dict(vars(file.training)),
        "optimizer": None if file.optimizer is None else _described_state(file),
        "cannot_be_converted": [vars(refusal) for refusal in refusals],
    }


def seen_by_convert(file: KerasFile) -> tuple[dict[LayerPath, Shape | None], tuple[Refusal, ...]]:
    """The output shape of each layer's first call, and what `convert` would refuse of the file.

    Where it refuses something, the shapes are those that follow from the layers' configs alone.
    """
    shapes = output_shapes(file.graph)
    try:
        program, _ = lowered(file, profile_of(file))
    except CannotConvert as error:
        return shapes, error.refusals
    except UserError as error:
        reason = str(error).removeprefix(f"{file.path}: ")
        return shapes, (Refusal(shown(file.graph.class_name), reason, (shown(file.graph.name),)),)
    made: dict[LayerPath, Shape | None] = {}
    for statement in program.walk():
        made.setdefault(statement.path, statement.outputs[0].shape if len(statement.outputs) == 1 else None)
    return shapes | made, ()


def _described_graph(
    graph: Graph, path: LayerPath, file: KerasFile, shapes: Mapping[LayerPath, Shape | None]
) -> dict[str, Any]:
    return {
        "name": graph.name,
        "class": graph.class_name,
        "inputs": [vars(ref) for ref in graph.inputs],
        "outputs": [vars(ref) for ref in graph.outputs],
        "layers": [_described_layer(layer, (*path, layer.name), file, shapes) for layer in graph.layers],
        "calls": [
            {"layer": call.layer, "number": call.number, "inputs": [vars(ref) for ref in call.inputs]}
            for call in graph.calls
        ],
    }


def _described_layer(
    layer: Layer, path: LayerPath, file: KerasFile, shapes: Mapping[LayerPath, Shape | None]
) -> dict[str, Any]:
    arrays = file.weights.get(path, {})
    return {
        "name": layer.name,
        "class": layer.class_name,
        "package": layer.package,
        "trainable": layer.trainable,
        "output_shape": shapes.get(path),
        "weights": {name: {"shape": array.shape, "dtype": array.dtype} for name, array in arrays.items()},
        "config": None if layer.graph is not None else dict(layer.config),
        "model": None if layer.graph is None else _described_graph(layer.graph, path, file, shapes),
    }


def _described_state(file: KerasFile) -> dict[str, Any]:
    state = file.optimizer
    assert state is not None
    return {
        "scalars": {name: array.read().item() for name, array in state.scalars.items()},
        "slots": {
            slot: ["/".join((*path, name)) for path, name in weights] for slot, weights in state.slots.items()
        },
        "unnamed": len(state.unnamed),
    }


def _print(file: KerasFile, shapes: Mapping[LayerPath, Shape | None], refusals: Sequence[Refusal]) -> None:
    console = whole_console()

    def say(line: str) -> None:
        console.print(Text(line))

    backend = f", {file.backend}" if file.backend else ""
    say(f"{file.path}: {file.format}, Keras {file.keras_version}{backend}")
    say(f'{shown(file.graph.class_name)} "{file.graph.name}", {file.parameters:,} numbers in its weights')
    console.print(_table(file, shapes))
    for line in (*_training_lines(file), *_rule_lines(refusals)):
        say(line)


def _table(file: KerasFile, shapes: Mapping[LayerPath, Shape | None]) -> Table:
    table = Table(box=None, header_style="", pad_edge=False)
    for heading in ("layer", "class", "output", "weights", "numbers", "takes"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "numbers" else "left")
    for path, layer, calls in _rows(file.graph, ()):
        arrays = file.weights.get(path, {})
        cells = (
            "  " * (len(path) - 1) + layer.name,
            layer.class_name if layer.package is None else f"{layer.package}>{layer.class_name}",
            _shape_text(shapes.get(path)),
            ", ".join(f"{name} {_shape_text(array.shape)}" for name, array in arrays.items()),
            f"{sum(array.size for array in arrays.values()):,}" if arrays else "",
            "; ".join(", ".join(_ref_text(ref) for ref in call.inputs) for call in calls),
        )
        table.add_row(*(Text(shown(cell, _CELL_CHARACTERS)) for cell in cells))
    return table


def _rows(graph: Graph, path: LayerPath) -> Iterator[tuple[LayerPath, Layer, list[Call]]]:
    """Every layer with its calls, those of an inner model below it."""
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in graph.calls:
        calls[call.layer].append(call)
    for layer in graph.layers:
        here = (*path, layer.name)
        yield here, layer, sorted(calls[layer.name], key=lambda call: call.number)
        if layer.graph is not None:
            yield from _rows(layer.graph, here)


def _ref_text(ref: TensorRef) -> str:
    call = f"#{ref.call + 1}" if ref.call else ""
    return f"{ref.layer}{call}[{ref.output}]" if ref.output else f"{ref.layer}{call}"


def _shape_text(shape: Shape | None) -> str:
    return "?" if shape is None else f"({', '.join('–' if size is None else str(size) for size in shape)})"


def _training_lines(file: KerasFile) -> Iterator[str]:
    if file.training is None:
        yield "not compiled: no loss, metrics or optimizer"
    else:
        training = file.training
        arguments = ", ".join(f"{name}={_json(value)}" for name, value in training.optimizer_config.items())
        yield shown(f"optimizer {training.optimizer or 'not stated'}({arguments})", _LINE_CHARACTERS)
        for name in ("loss", "metrics", "weighted_metrics", "loss_weights"):
            if getattr(training, name) is not None:
                yield shown(f"{name} {_json(getattr(training, name))}", _LINE_CHARACTERS)
        yield "class weights: none; they are an argument of fit(), and no Keras file holds them"
    if file.optimizer is None:
        yield "optimizer state: none stored"
        return
    state = file.optimizer
    held = [f"{name} {array.read().item():g}" for name, array in state.scalars.items()]
    held += [f"{slot} of {len(weights)} weights" for slot, weights in state.slots.items()]
    if state.unnamed:
        held.append(f"{len(state.unnamed)} arrays that the file gives to no weight")
    yield shown(f"optimizer state: {', '.join(held)}", _LINE_CHARACTERS)


def _rule_lines(refusals: Sequence[Refusal]) -> Iterator[str]:
    for refusal in refusals:
        yield shown(f"cannot be converted: {refusal}", _LINE_CHARACTERS)
    remedy = remedy_for(refusals) if refusals else "every layer can be converted"
    if remedy:
        yield remedy


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
