"""model.py: a Keras model as a torch module that reads as if a person had written it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from porting.emit.body import Body, block_body, model_body, parameter_names, parameter_types
from porting.emit.classes import ClassSource
from porting.emit.folding import BlockUse, Item, fold
from porting.emit.forward import forward_lines
from porting.emit.names import argument_name, block_class_name, class_name, plain_text
from porting.emit.operations import ModuleKey, Operation, Operations, operations_of
from porting.graph import LayerPath
from porting.helpers import HELPERS
from porting.output_shapes import Shape, shape_text
from porting.program import Program, Statement
from porting.rules.augmentation import augments
from porting.rules.piece import Value

# What ends a classifier: the losses take what comes before it.
_ENDS = {"nn.Softmax": "torch.softmax({}, dim={dim})", "nn.Sigmoid": "torch.sigmoid({})"}
_KERAS_NAMES = {"nn.Softmax": "softmax", "nn.Sigmoid": "sigmoid"}

# More of them are not named in a docstring.
_MOST_SHAPES, _MOST_NAMES = 2, 3
_CHANGE = frozenset(
    {
        "AlphaDropout",
        "BatchNormalization",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
    }
)
"""Layers that do something else in training."""

# What is not used is taken out when the source is formatted.
_HEAD = """from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
"""


@dataclass(frozen=True)
class ModelRun:
    """What a model does in its forward, and in `probabilities` behind it.

    Attributes:
        steps: Its operations in order, each with the attribute of its module, or None of an expression.
        inputs: The tensors that it takes, and their shapes as torch has them.
        given: Each call of a layer, and the tensor that it gives.
    """

    steps: tuple[tuple[Operation, str | None], ...]
    inputs: Mapping[int, Shape]
    given: tuple[tuple[LayerPath, int], ...]


@dataclass(frozen=True)
class ModelSource:
    """A model.py.

    Attributes:
        text: Not yet formatted.
        class_name: The model's class.
        places: The attribute, from the model's class on, of each module that may hold weights.
        ends_in: The activation at the model's end that forward stops before, "softmax" or "sigmoid"; None: it
            goes to the end.
        runs: What each model, those inside by their layer's path, does in its forward.
    """

    text: str
    class_name: str
    places: Mapping[ModuleKey, str]
    ends_in: str | None
    runs: Mapping[LayerPath, ModelRun]

    @property
    def gives_logits(self) -> bool:
        """Whether forward stops before the activation at the model's end."""
        return self.ends_in is not None


def model_source(program: Program, name: str, origin: str) -> ModelSource:
    """The source of a program.

    Args:
        program: The model.
        name: Of its class, any words.
        origin: What it was made from, for the first line.
    """
    writer = _Writer(set(HELPERS))
    writer.taken.update(function for _, function in writer.custom(program))
    root = writer.write(program, (), class_name(name, writer.taken))
    helpers = _helper_sources("\n".join(writer.classes))
    own = [f"from {module} import {function}" for module, function in writer.custom(program)]
    parts = [f'"""{root}: {plain_text(origin)}."""', _HEAD, *own, *helpers, *writer.classes]
    return ModelSource("\n\n".join(parts), root, writer.places, writer.root_ends_in, writer.runs)


class _Writer:
    """Collects the classes of a model, those that others need first."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)
        self.classes: list[str] = []
        self.places: dict[ModuleKey, str] = {}
        self.root_ends_in: str | None = None
        self.runs: dict[LayerPath, ModelRun] = {}

    def write(self, program: Program, path: LayerPath, name: str) -> str:
        """Writes a model's class behind those it needs.

        Args:
            program: The model.
            path: Of its layer; () of the whole model.
            name: The class's.
        """
        self.taken.add(name)
        whole = operations_of(program)
        model, end = _without_end(whole) if not path else (whole, None)
        last_make = whole.operations[-1].make if end is not None else None
        if last_make is not None:
            self.root_ends_in = _KERAS_NAMES[last_make.callee]
        items = fold(model)
        classes = {**self._blocks(items, name), **self._models(items)}
        shapes = [value.torch_shape for value in program.inputs]
        taken = dict(zip(model.inputs, shapes, strict=True))
        body = model_body(items, taken, model.outputs, classes)
        last = () if end is None else ((replace(whole.operations[-1], function=end), None),)
        self.runs[path] = ModelRun((*body.run, *last), taken, whole.given)
        for key, place in body.places.items():
            self.places[key] = place
        inputs = _input_names(program, self.taken)
        docstring = _docstring(program, end is not None) if not path else f"The model {path[-1]} inside."
        docstring += _says_augmentation(program)
        methods = [] if end is None else [_probabilities(end, inputs)]
        train = [] if path else self._train(program, name)
        methods += train
        source = _class(name, docstring, body, model, inputs, methods)
        # Lightning leaves modules in the mode in which it finds them.
        self.classes.append(replace(source, ends=("self.train()",) if train else ()).text())
        return name

    def custom(self, program: Program) -> Iterator[tuple[str, str]]:
        """The functions of the user's own that the model calls: module and name."""
        seen = set()
        for statement in program.walk():
            if statement.piece is not None and statement.piece.custom is not None:
                module, function = statement.piece.custom.module, statement.piece.custom.function
                if (module, function) not in seen:
                    seen.add((module, function))
                    yield module, function

    def _train(self, program: Program, name: str) -> list[str]:
        """A method that keeps some modules as in inference, if any."""
        kept = []
        for statement in program.walk():
            is_module = (statement.path, "") in self.places
            if statement.never_trains and is_module and changes_in_training(statement):
                kept.append(module_name(self.places, statement.path))
        if not kept:
            return []
        lines = [
            f"def train(self, mode: bool = True) -> {name}:",
            '    """Keras called these with training=False (D51)."""',
            "    super().train(mode)",
            f"    for name in {tuple(dict.fromkeys(kept))!r}:",
            "        self.get_submodule(name).eval()",
            "    return self",
        ]
        return ["\n".join(lines)]

    def _blocks(self, items: Sequence[Item], owner: str) -> dict[Any, str]:
        uses: dict[int, list[BlockUse]] = {}
        for item in items:
            if isinstance(item, BlockUse):
                uses.setdefault(item.block.number, []).append(item)
        classes: dict[Any, str] = {}
        for number, users in uses.items():
            block = users[0].block
            labels = [[operation.layer for operation in use.operations] for use in users]
            name = block_class_name(labels, block.operations, self.taken)
            self.taken.add(name)
            classes[number] = name
            parameters = parameter_names(block)
            body = block_body(block, users, parameters)
            model = Operations(block.operations, (block.input,), (block.output,))
            docstring = f"Stands {len(users)} times in {owner}."
            types = zip(parameters, parameter_types(block, users), strict=True)
            self.classes.append(_class(name, docstring, body, model, ("x",), (), tuple(types)).text())
        return classes

    def _models(self, items: Sequence[Item]) -> dict[Any, str]:
        classes: dict[Any, str] = {}
        for item in items:
            if isinstance(item, BlockUse) or item.program is None or item.key in classes:
                continue
            path = item.key[0] if item.key is not None else ()
            inner = class_name(item.layer, self.taken)
            classes[item.key] = self.write(item.program, path, inner)
        return classes


def _class(
    name: str,
    docstring: str,
    body: Body,
    model: Operations,
    inputs: Sequence[str],
    methods: Sequence[str],
    parameters: Sequence[tuple[str, str]] = (),
) -> ClassSource:
    if body.lines is None:
        return ClassSource(name, docstring, body.modules, parameters, methods=methods)
    named = dict(zip(model.inputs, inputs, strict=True))
    lines, results = forward_lines(body.lines, named, model.outputs)
    kind = "Tensor" if len(results) == 1 else f"tuple[{', '.join(['Tensor'] * len(results))}]"
    result = ", ".join(results)
    if len(results) == 1 and lines and lines[-1].startswith(f"{result} = "):
        result = lines.pop().removeprefix(f"{result} = ")
    return ClassSource(name, docstring, body.modules, parameters, inputs, lines, result, kind, methods)


def _without_end(model: Operations) -> tuple[Operations, str | None]:
    """The model without the softmax or sigmoid that it ends in, and that as an expression of the logits."""
    if len(model.outputs) != 1 or not model.operations:
        return model, None
    last = model.operations[-1]
    is_read_elsewhere = any(last.outputs[0] in operation.inputs for operation in model.operations)
    if last.make is None or last.make.callee not in _ENDS or is_read_elsewhere or len(model.operations) == 1:
        return model, None
    if last.outputs != model.outputs or len(last.shapes[0]) != 2:
        return model, None
    expression = _ENDS[last.make.callee].replace("{dim}", str(last.make.keywords.get("dim", "")))
    return Operations(model.operations[:-1], model.inputs, last.inputs), expression


def _probabilities(end: str, inputs: Sequence[str]) -> str:
    arguments = ", ".join(f"{name}: Tensor" for name in inputs)
    return (
        f"def probabilities(self, {arguments}) -> Tensor:\n"
        '    """What the Keras model gives, in [0, 1]. Losses take the logits of forward."""\n'
        f"    return {end.format('self(' + ', '.join(inputs) + ')')}"
    )


def _input_names(program: Program, functions: Collection[str]) -> list[str]:
    if len(program.inputs) == 1:
        # The first tensor of a body is x; an image says so.
        return ["images" if len(program.inputs[0].shape) == 4 else "x"]
    names: list[str] = []
    for ref in program.graph.inputs:
        names.append(argument_name(ref.layer, names, functions))
    return names


def _docstring(program: Program, gives_logits: bool) -> str:
    gives = f"{'logits ' * gives_logits}{_shapes_text(program.outputs)}"
    return f"Takes {_shapes_text(program.inputs)} as the Keras model takes them, gives {gives}."


def _says_augmentation(program: Program) -> str:
    """A sentence on the layers that augment in Keras; "" without any."""
    names = [each.layer.name for each in program.statements if augments(each.layer)]
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f" In Keras {', '.join(names[:_MOST_NAMES])}{more} augment in training; here they do nothing."


def _shapes_text(values: Sequence[Value]) -> str:
    if len(values) > _MOST_SHAPES:
        return f"{len(values)} tensors"
    return " and ".join(f"`{shape_text(value.torch_shape)}`" for value in values)


def module_name(places: Mapping[ModuleKey, str], path: LayerPath) -> str:
    """The name of a layer's module, from the whole model on."""
    return ".".join(places[path[:end], ""] for end in range(1, len(path) + 1))


def changes_in_training(statement: Statement) -> bool:
    """Whether a layer, or a model inside, computes something else in training than in inference."""
    if statement.program is not None:
        return any(changes_in_training(inner) for inner in statement.program.walk())
    return statement.layer.class_name in _CHANGE or statement.layer.class_name.startswith("Random")


def _helper_sources(body: str) -> list[str]:
    """The source of the helpers that a body names, those they need first."""
    found: dict[str, str] = {}

    def add(text: str) -> None:
        for name, helper in HELPERS.items():
            if name not in found and re.search(rf"(?<![\w.]){name}\b", text):
                source = inspect.getsource(helper)
                # Marked first: a class names itself.
                found[name] = ""
                add(source)
                del found[name]
                found[name] = source

    add(body)
    return list(found.values())
