"""Writes expressions into others, in brackets where Python's operators would otherwise bind differently."""

from __future__ import annotations

import ast
from collections.abc import Sequence


def filled(function: str, taken: Sequence[str]) -> str:
    """A function's source with expressions in its places: `{0}.div(2)` of `x + y` is `(x + y).div(2)`.

    Python's own parser decides: an expression stands without brackets only where that means the same.

    Args:
        function: An expression with the place "{}" or the places "{0}", "{1}", ....
        taken: An expression for each place.
    """
    names = [f"_{place}" for place in range(len(taken))]
    written = [
        each if _binds(function, [*names[:place], each, *names[place + 1 :]], place) else f"({each})"
        for place, each in enumerate(taken)
    ]
    return function.format(*written)


def _binds(function: str, taken: Sequence[str], place: int) -> bool:
    """Whether an expression means the same at its place with brackets and without."""
    # A name, which most of them are, binds at every place.
    if taken[place].isidentifier():
        return True
    inside = [f"({each})" if number == place else each for number, each in enumerate(taken)]
    return _parsed(function.format(*taken)) == _parsed(function.format(*inside))


def _parsed(expression: str) -> str | None:
    """What an expression means, positions aside; None of what is none, such as `2.mul(3)`."""
    try:
        return ast.dump(ast.parse(expression, mode="eval"))
    except SyntaxError:
        return None
