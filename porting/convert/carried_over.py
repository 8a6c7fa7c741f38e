"""What of a file a conversion carries over, and what it does not: the same for README and console."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from porting.carried_weights import layers_of
from porting.convert.compiled import Compiled, policies
from porting.convert.conversion import Conversion
from porting.keras_file.model_config import OPERATION
from porting.keras_file.problems import shown
from porting.output_shapes import shape_text
from porting.program import Program


def why_no_training(program: Program) -> str:
    """Why no training can be written for a model; "" where one can."""
    inputs, outputs = program.inputs, program.outputs
    if len(inputs) == 1 and len(outputs) == 1 and len(outputs[0].shape) == 2:
        return ""
    has = f"gives `{shape_text(outputs[0].torch_shape)}`"
    if len(outputs) > 1:
        has = f"has {len(outputs)} outputs"
    if len(inputs) > 1:
        has = f"has {len(inputs)} inputs"
    return f"is for models of one input and one output `(N, C)`, and this one {has}"


def carried_over(conversion: Conversion, compiled: Compiled) -> Iterator[str]:
    """What a converted folder holds, a sentence each."""
    yield f"{count_layers(conversion.program)}, every weight."
    if why_no_training(conversion.program):
        return
    if compiled.loss is not None:
        yield f"The loss: {type(compiled.loss).__name__}."
    if compiled.optimizer is not None:
        state = (
            f" with its state after {_counted(compiled.optimizer.steps, 'step')}" if compiled.goes_on else ""
        )
        yield f"The optimizer: {compiled.optimizer.name}, {compiled.optimizer.profile.name}{state}."
        if compiled.optimizer.schedule:
            yield f"The learning-rate schedule: {next(iter(compiled.optimizer.schedule))}."
    for rules, what in ((compiled.regularizers, "regulariser"), (compiled.constraints, "constraint")):
        if rules:
            yield f"{_counted(len(rules), what)}."
    if compiled.frozen:
        yield f"{_counted(len(compiled.frozen), 'frozen layer')}."


def not_carried_over(conversion: Conversion, compiled: Compiled) -> list[str]:
    """What the file holds and the converted folder does not, a sentence each."""
    program = conversion.program
    found = [f"`{'/'.join(path)}` {note}." for path, piece in layers_of(program) for note in piece.notes]
    found += policies(conversion.file)
    why = why_no_training(program)
    return [*found, _no_training(conversion, compiled, why)] if why else [*found, *compiled.left]


def count_layers(program: Program) -> str:
    """How many layers a model has, those of models inside among them: "19 layers"."""
    paths = {
        statement.path
        for statement in program.walk()
        # An operation of Keras 3 is no layer.
        if statement.piece is not None and not statement.layer.class_name.startswith(OPERATION)
    }
    return _counted(len(paths), "layer")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _no_training(conversion: Conversion, compiled: Compiled, why: str) -> str:
    training, held = conversion.file.training, []
    if training is not None:
        if training.optimizer is not None:
            steps = compiled.optimizer.steps if compiled.optimizer is not None and compiled.goes_on else 0
            after = f" after {_counted(steps, 'step')}" if steps else ""
            held.append(f"the optimizer {shown(training.optimizer)}{after}")
        if names := list(_names(training.loss)):
            held.append(f"the loss {shown(', '.join(names))}")
    if compiled.regularizers or compiled.constraints:
        held.append("regularisers and constraints of its weights")
    if compiled.frozen:
        held.append("which layers are frozen (`layers.json` says it)")
    said = f": {', '.join(held)}" if held else ", of which the file holds nothing"
    return f"The training{said}. No `lightning_module.py` is written: it {why}."


def _names(stated: Any) -> Iterator[str]:
    """The losses of all outputs."""
    if isinstance(stated, Mapping) and "class_name" in stated:
        config = stated.get("config")
        yield (
            config
            if stated["class_name"] == "function" and isinstance(config, str)
            else str(stated["class_name"])
        )
    elif isinstance(stated, Mapping | list):
        for each in stated.values() if isinstance(stated, Mapping) else stated:
            yield from _names(each)
    elif stated is not None:
        yield str(stated)
