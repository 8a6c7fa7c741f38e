"""What stands in a class: the modules of a model or of a block by their names, and how they are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from porting.emit.classes import Module
from porting.emit.folding import Block, BlockUse, Item
from porting.emit.forward import Line
from porting.emit.names import attribute_name, names_in_block, use_name
from porting.emit.operations import ModuleKey, Operation
from porting.output_shapes import Shape, shape_text
from porting.rules.piece import Make, Name


@dataclass(frozen=True)
class Body:
    """The inside of a class.

    Attributes:
        modules: Of the constructor.
        lines: Of forward; None: the modules are a chain.
        places: The attribute of each module that holds weights, "block1.conv" of one in a block.
        run: Of a model: its operations in the order in which forward makes them, those in blocks among them,
            each with the attribute of its module, or None of an expression.
    """

    modules: tuple[Module, ...]
    lines: tuple[Line, ...] | None
    places: Mapping[ModuleKey, str]
    run: tuple[tuple[Operation, str | None], ...] = ()


def model_body(
    items: Sequence[Item],
    inputs: Mapping[int, Shape],
    outputs: Sequence[int],
    classes: Mapping[Any, str],
) -> Body:
    """The inside of a model's class.

    Args:
        items: Its operations and uses of blocks, in order.
        inputs: The tensors it takes, and their shapes as torch has them.
        outputs: The tensors it gives.
        classes: The names of the classes of the blocks, by number, and of the models inside, by key.
    """
    chain = _is_chain(items, tuple(inputs), outputs)
    shapes = dict(inputs)
    for operation in operations_in(items):
        shapes.update(zip(operation.outputs, operation.shapes, strict=True))
    by_block: dict[int, list[BlockUse]] = {}
    for item in items:
        if isinstance(item, BlockUse):
            by_block.setdefault(item.block.number, []).append(item)
    inside = {number: block_names(uses) for number, uses in by_block.items()}
    taken: list[str] = []
    modules, lines = [], []
    places: dict[ModuleKey, str] = {}
    run: list[tuple[Operation, str | None]] = []
    blocks = 0
    for item in items:
        blocks += isinstance(item, BlockUse)
        name = _module_name(item, places, taken, chain, blocks)
        if name is not None and name not in taken:
            taken.append(name)
            modules.append(Module(name, _made(item, classes), _remark(item, shapes)))
        if isinstance(item, BlockUse):
            lines.append(Line(f"self.{name}({{}})", (item.input,), (item.output,)))
            names = {place: f"{name}.{inner}" for place, inner in inside[item.block.number].items()}
            run += [(operation, names.get(place)) for place, operation in enumerate(item.operations)]
            keys = {item.operations[place].key: inner for place, inner in names.items()}
            places |= {key: inner for key, inner in keys.items() if key is not None}
            continue
        lines.append(_line(item, name))
        run.append((item, name))
        if name is not None and item.key is not None:
            places[item.key] = name
    return Body(tuple(modules), None if chain else tuple(lines), places, tuple(run))


def block_body(block: Block, uses: Sequence[BlockUse], parameters: Sequence[str]) -> Body:
    """The inside of a block's class.

    Args:
        block: The block.
        uses: All of its uses.
        parameters: The names of the constructor's arguments.
    """
    names = block_names(uses)
    chain = _is_block_chain(block)
    modules, lines = [], []
    for place, operation in enumerate(block.operations):
        name = names.get(place)
        lines.append(_line(operation, name))
        if name is not None and operation.make is not None:
            own = {
                argument: parameters[number]
                for number, goes_to in enumerate(block.parameters)
                for where, argument in goes_to
                if where == place
            }
            modules.append(Module(name, _with_names(operation.make, own).source()))
    return Body(tuple(modules), None if chain else tuple(lines), {})


def block_names(uses: Sequence[BlockUse]) -> dict[int, str]:
    """The attributes of a block's modules, by the operation's place."""
    block = uses[0].block
    chain = _is_block_chain(block)
    places = [
        place
        for place, operation in enumerate(block.operations)
        if operation.make is not None and (chain or operation.function is None or place in block.as_modules)
    ]
    labels = [[_label(use.operations[place]) for place in places] for use in uses]
    names = names_in_block(labels, [block.operations[place] for place in places])
    return dict(zip(places, names, strict=True))


def parameter_names(block: Block) -> list[str]:
    """The constructor's arguments of a block, after the first thing that each of them is."""
    names: list[str] = []
    for (_, argument), *_ in block.parameters:
        names.append(attribute_name({"num_features": "channels"}.get(argument, argument), names))
    return names


def parameter_types(block: Block, uses: Sequence[BlockUse]) -> list[str]:
    """Their types, from the values that are passed."""
    columns = [{_type(use.values[place]) for use in uses} for place in range(len(block.parameters))]
    return [" | ".join(sorted(types)) for types in columns]


def operations_in(items: Iterable[Item]) -> Iterator[Operation]:
    """The operations of a body, those in blocks among them."""
    for item in items:
        yield from item.operations if isinstance(item, BlockUse) else (item,)


def _is_chain(items: Sequence[Item], inputs: Sequence[int], outputs: Sequence[int]) -> bool:
    """Whether every item takes what the one before it gives, and each is a module of its own."""
    if len(inputs) != 1 or len(outputs) != 1 or not items:
        return False
    keys = [item.key for item in items if isinstance(item, Operation)]
    if len(set(keys)) < len(keys) or None in keys:
        return False
    tensor = inputs[0]
    for item in items:
        taken, given = _ends(item)
        if taken != (tensor,) or len(given) != 1:
            return False
        (tensor,) = given
    return tensor == outputs[0]


def _is_block_chain(block: Block) -> bool:
    return _is_chain(block.operations, (block.input,), (block.output,))


def _ends(item: Item) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return ((item.input,), (item.output,)) if isinstance(item, BlockUse) else (item.inputs, item.outputs)


def _module_name(
    item: Item, places: Mapping[ModuleKey, str], taken: Sequence[str], chain: bool, number: int
) -> str | None:
    """The attribute of an item; None of one that is no module."""
    if isinstance(item, BlockUse):
        labels = [operation.layer for operation in item.operations]
        return use_name(labels, number, taken)
    if item.key is None or (item.function is not None and not chain):
        return None
    return places.get(item.key) or attribute_name(_label(item), taken)


def _label(operation: Operation) -> str:
    return operation.layer + (operation.key[1] if operation.key else "")


def _line(operation: Operation, name: str | None) -> Line:
    places = (
        [f"{{{place}}}" for place in range(len(operation.inputs))] if len(operation.inputs) > 1 else ["{}"]
    )
    function = operation.function if name is None else f"self.{name}({', '.join(places)})"
    assert function is not None
    return Line(function, operation.inputs, operation.outputs)


def _made(item: Item, classes: Mapping[Any, str]) -> str:
    if isinstance(item, BlockUse):
        return f"{classes[item.block.number]}({', '.join(repr(value) for value in item.values)})"
    if item.program is not None:
        return f"{classes[item.key]}()"
    assert item.make is not None
    return item.make.source()


def _remark(item: Item, shapes: Mapping[int, Shape]) -> str:
    """The shape of what an item gives, where it is another than that of what it takes."""
    taken, given = _ends(item)
    if len(given) == 1 and shapes.get(taken[0]) == shapes[given[0]]:
        return ""
    return ", ".join(shape_text(shapes[tensor]) for tensor in given)


def _with_names(make: Make, names: Mapping[str, str]) -> Make:
    """The making with names for some of its arguments."""
    positional, keywords = dict(make.positional), dict(make.keywords)
    for argument, name in names.items():
        (positional if argument in positional else keywords)[argument] = Name(name)
    return Make(make.callee, positional, keywords)


def _type(value: Any) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join(_type(each) for each in value)}]"
    return "nn.Module" if isinstance(value, Make) else type(value).__name__
