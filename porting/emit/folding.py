"""Finds what a net repeats, and folds it into blocks.

Between two points at which a single tensor is alive lies a segment: a layer of a chain, or a residual block
as a whole. Runs of segments of the same structure, whatever their numbers of channels, become one class.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from porting.emit.operations import Operation, Operations
from porting.emit.prefix import common_prefix

# In operations: a class costs some lines of its own.
LEAST_LENGTH, LEAST_SAVING = 3, 9
# More of them, and the calls say less than the operations did.
MOST_PARAMETERS = 8

# Left out where they are the default: `stride` of one convolution of a block may be another's default.
DEFAULTS: dict[str, dict[str, Any]] = {
    **{
        f"{prefix}Conv{axes}d": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
        for prefix in ("nn.", "Same")
        for axes in (1, 2, 3)
    },
    **{f"SeparableConv{axes}d": {"stride": 1, "dilation": 1, "multiplier": 1} for axes in (1, 2)},
    "nn.Linear": {"bias": True},
}


@dataclass(frozen=True)
class Block:
    """A class for what is repeated.

    Attributes:
        number: From 0.
        operations: Of its first use.
        parameters: What varies: for each parameter, the (operation, argument) pairs it goes to.
        as_modules: The operations that have to be modules, since their expressions hold what varies.
        input: The tensor that the first use takes.
        output: The tensor that it gives.
    """

    number: int
    operations: tuple[Operation, ...]
    parameters: tuple[tuple[tuple[int, str], ...], ...]
    as_modules: frozenset[int]
    input: int
    output: int


@dataclass(frozen=True)
class BlockUse:
    """One use of a block.

    Attributes:
        block: The class.
        operations: What it stands for.
        values: Of the block's parameters.
        input: The tensor it takes.
        output: The tensor it gives.
    """

    block: Block
    operations: tuple[Operation, ...]
    values: tuple[Any, ...]
    input: int
    output: int


Item = Operation | BlockUse


def fold(model: Operations) -> tuple[Item, ...]:
    """The model's operations, what is repeated in uses of blocks."""
    items: list[list[Operation] | BlockUse] = [list(segment) for segment in _segments(model)]
    number = 0
    while (found := _best(items, number)) is not None:
        items = found
        number += 1
    return tuple(item for each in items for item in ([each] if isinstance(each, BlockUse) else each))


def _segments(model: Operations) -> Iterator[tuple[Operation, ...]]:
    last_use: dict[int, int] = {}
    for place, operation in enumerate(model.operations):
        last_use.update(dict.fromkeys(operation.inputs, place))
    last_use.update(dict.fromkeys(model.outputs, len(model.operations)))
    alive = {tensor for tensor in model.inputs if tensor in last_use}
    segment: list[Operation] = []
    for place, operation in enumerate(model.operations):
        segment.append(operation)
        alive.update(output for output in operation.outputs if output in last_use)
        alive = {tensor for tensor in alive if last_use[tensor] > place}
        if alive == {operation.outputs[-1]}:
            yield tuple(segment)
            segment = []
    if segment:
        yield tuple(segment)


def _best(items: list[list[Operation] | BlockUse], number: int) -> list[list[Operation] | BlockUse] | None:
    """The items with the most worthwhile block folded; None when none is left."""
    signatures = [None if isinstance(item, BlockUse) else _signature(item) for item in items]
    shared = _shared_modules(items)
    best: tuple[tuple[int, int, int], list[int], int] | None = None
    for length in range(1, len(items) // 2 + 1):
        places: dict[Hashable, list[int]] = defaultdict(list)
        for start in range(len(items) - length + 1):
            run = signatures[start : start + length]
            if None in run or any(start + offset in shared for offset in range(length)):
                continue
            found = places[tuple(run)]
            if not found or found[-1] + length <= start:
                found.append(start)
        for starts in places.values():
            size = len(_run(items, starts[0], length))
            saving = (len(starts) - 1) * size
            if len(starts) < 2 or size < LEAST_LENGTH or saving < LEAST_SAVING:
                continue
            # Of equal savings the longer block: it says more. Of equal lengths the one whose layers have the
            # most of their names in common.
            worth = (saving, size, sum(_common(items, start, length) for start in starts))
            if (best is None or worth > best[0]) and _is_readable(items, starts, length):
                best = worth, starts, length
    if best is None:
        return None
    _, starts, length = best
    return _folded(items, starts, length, number)


def _shared_modules(items: Sequence[list[Operation] | BlockUse]) -> set[int]:
    """The items that use a module which another one uses, too: it can be in no block."""
    users = defaultdict(set)
    for place, item in enumerate(items):
        for operation in item.operations if isinstance(item, BlockUse) else item:
            users[operation.key].add(place)
    return {place for key, places in users.items() if key and len(places) > 1 for place in places}


def _run(items: Sequence[list[Operation] | BlockUse], start: int, length: int) -> tuple[Operation, ...]:
    return tuple(
        operation
        for item in items[start : start + length]
        if not isinstance(item, BlockUse)
        for operation in item
    )


def _common(items: Sequence[list[Operation] | BlockUse], start: int, length: int) -> int:
    return len(common_prefix([operation.layer for operation in _run(items, start, length)]))


def _is_readable(items: Sequence[list[Operation] | BlockUse], starts: Sequence[int], length: int) -> bool:
    runs = [_run(items, start, length) for start in starts]
    return len(_parameters(runs)) <= MOST_PARAMETERS


def _folded(
    items: list[list[Operation] | BlockUse], starts: Sequence[int], length: int, number: int
) -> list[list[Operation] | BlockUse]:
    runs = [_run(items, start, length) for start in starts]
    parameters = _parameters(runs)
    rows = list(enumerate(zip(*runs, strict=True)))
    as_modules = frozenset(place for place, row in rows if len({each.function for each in row}) > 1)
    block = Block(number, runs[0], parameters, as_modules, runs[0][0].inputs[0], runs[0][-1].outputs[-1])
    uses = {}
    for start, run in zip(starts, runs, strict=True):
        values = tuple(arguments_of(run[places[0][0]])[places[0][1]] for places in parameters)
        uses[start] = BlockUse(block, run, values, run[0].inputs[0], run[-1].outputs[-1])
    inside = {start + offset for start in starts for offset in range(1, length)}
    return [uses.get(place, item) for place, item in enumerate(items) if place not in inside]


def arguments_of(operation: Operation) -> dict[str, Any]:
    """An operation's arguments with those that it leaves to their default."""
    if operation.make is None:
        return {}
    stated = {**operation.make.positional, **operation.make.keywords}
    return {**DEFAULTS.get(operation.make.callee, {}), **stated}


def _parameters(runs: Sequence[tuple[Operation, ...]]) -> tuple[tuple[tuple[int, str], ...], ...]:
    """The arguments that differ between runs, those together that always have the same value."""
    columns: dict[tuple[str, ...], list[tuple[int, str]]] = defaultdict(list)
    for place, operations in enumerate(zip(*runs, strict=True)):
        rows = [arguments_of(operation) for operation in operations]
        for name in rows[0]:
            values = tuple(repr(row[name]) for row in rows)
            if len(set(values)) > 1:
                columns[values].append((place, name))
    return tuple(tuple(places) for places in columns.values())


def _signature(segment: Sequence[Operation]) -> Hashable:
    """What two segments of one block have in common; None of one that can be in no block."""
    if any(operation.program is not None for operation in segment):
        return None
    numbers: dict[int, int] = {}
    said = []
    for operation in segment:
        inputs = tuple(numbers.setdefault(tensor, len(numbers)) for tensor in operation.inputs)
        outputs = tuple(numbers.setdefault(tensor, len(numbers)) for tensor in operation.outputs)
        make = operation.make
        callee = operation.function if make is None else (make.callee, tuple(arguments_of(operation)))
        said.append((callee, operation.key is None, inputs, outputs))
    return tuple(said)
