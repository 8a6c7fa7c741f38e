"""The lines of a forward: calls on numbered tensors become expressions on few names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from porting.emit.brackets import filled

_TENSOR_NAMES = ("x", "y", "z", "u", "v", "w")
# Of a line: more calls in one another are hard to read.
_LINE_CHARACTERS, _NESTED_CALLS, _SHORT_CHARACTERS = 76, 3, 12


@dataclass(frozen=True)
class Line:
    """A line of forward before it has names.

    Attributes:
        function: Has a place "{}" for the only input, or "{0}", "{1}", ... for several.
        inputs: The tensors it takes.
        outputs: The tensors it gives.
    """

    function: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def forward_lines(
    lines: Sequence[Line], inputs: Mapping[int, str], outputs: Sequence[int]
) -> tuple[list[str], list[str]]:
    """The source of forward's lines, and the names of what it returns.

    A tensor that is used once, in the line right behind, is written into that line.

    Args:
        lines: In order.
        inputs: The names of what forward takes.
        outputs: The tensors it returns.
    """
    uses = Counter(tensor for line in lines for tensor in line.inputs)
    uses.update(outputs)
    last = {tensor: place for place, line in enumerate(lines) for tensor in line.inputs}
    last |= dict.fromkeys(outputs, len(lines))
    names = dict(inputs)
    text: list[str] = []
    # The expression so far, while it has no name, and how many calls it is.
    expressions: dict[int, str] = {}
    depth = 0
    for place, line in enumerate(lines):
        depth = depth + 1 if any(tensor in expressions for tensor in line.inputs) else 1
        made = filled(line.function, [expressions.get(tensor) or names[tensor] for tensor in line.inputs])
        expressions.clear()
        following = lines[place + 1] if place + 1 < len(lines) else None
        if following is not None and depth < _NESTED_CALLS and _goes_into(line, following, made, uses):
            expressions[line.outputs[0]] = made
            continue
        used_later = {name for tensor, name in names.items() if last.get(tensor, -1) > place}
        given: list[str] = []
        for output in line.outputs:
            given.append(_free_name(used_later.union(given)))
            names[output] = given[-1]
        text.append(f"{', '.join(given)} = {made}")
    return text, [names[tensor] for tensor in outputs]


def _goes_into(line: Line, following: Line, made: str, uses: Mapping[int, int]) -> bool:
    """Whether what a line gives is better written into the next one than given a name."""
    if len(line.outputs) > 1 or following.inputs != line.outputs or uses[line.outputs[0]] != 1:
        return False
    # A long merge as an argument of a call hides it.
    if len(line.inputs) > 1 and not made.startswith("self.") and len(made) > _SHORT_CHARACTERS:
        return False
    return following.function.count("{") == 1 and len(filled(following.function, [made])) <= _LINE_CHARACTERS


def _free_name(taken: set[str]) -> str:
    free = (name for name in _TENSOR_NAMES if name not in taken)
    further = (f"x{number}" for number in range(2, len(taken) + 3) if f"x{number}" not in taken)
    return next(free, None) or next(further)
