"""The arguments of a function that a model calls on tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from porting.graph import TensorRef
from porting.keras_file.problems import shown
from porting.rules.piece import Order, Piece, Refused, Site, Value


@dataclass(frozen=True)
class Place:
    """A tensor among the arguments: which of the site's inputs it is."""

    number: int


@dataclass(frozen=True)
class Operation:
    """A function at one of its calls.

    Attributes:
        site: Its layer and call.
        positional: Arguments without names, tensors as `Place`.
        named: Arguments by name, of Keras 3 with those that the operation was made with.
    """

    site: Site
    positional: tuple[Any, ...]
    named: Mapping[str, Any]

    @classmethod
    def of(cls, site: Site) -> Operation:
        """The operation at a site."""
        numbers = iter(range(len(site.inputs)))
        positional = tuple(_placed(argument, numbers) for argument in site.call.arguments)
        # As porting.graph.tensors_in numbers them.
        named = {key: _placed(site.call.keywords[key], numbers) for key in sorted(site.call.keywords)}
        return cls(site, positional, {**site.config, **named})

    def argument(self, place: int, *names: str, default: Any = None) -> Any:
        """An argument by its place, or by one of its names."""
        if place < len(self.positional):
            return self.positional[place]
        return next((self.named[name] for name in names if self.named.get(name) is not None), default)

    def single(self) -> Value:
        """The only tensor, which comes first.

        Raises:
            Refused: There are others.
        """
        if not isinstance(self.argument(0, "x", "input", "tensor"), Place):
            raise Refused("its first argument is no tensor")
        return self.site.input

    def numbers(self, value: Any, what: str) -> list[int]:
        """One whole number or a list of them.

        Raises:
            Refused: It is neither.
        """
        found = list(value) if isinstance(value, list | tuple) else [value]
        if not all(type(number) is int for number in found):
            raise Refused(f"{what}={shown(value)} is no list of whole numbers")
        return found

    def axes(self, value: Any) -> list[int]:
        """Axes of the only tensor, counted from the front, in order.

        Raises:
            Refused: They are none, or the batch is one of them.
        """
        rank = self.site.rank
        axes = sorted(axis % rank for axis in self.numbers(value, "axis") if -rank <= axis < rank)
        if not axes or axes[0] == 0:
            raise Refused(f"axis={shown(value)} has no rule")
        return axes

    def gives(self, expression: str, order: Order, shape: Sequence[int | None]) -> Piece:
        """The piece of an expression of the only tensor, taken in its own order; "{0}" does nothing."""
        merge = None if expression == "{0}" else expression
        return Piece(merge=merge, orders=(self.site.input.order,), order=order, shape=tuple(shape))


def _placed(part: Any, numbers: Iterator[int]) -> Any:
    if isinstance(part, TensorRef):
        return Place(next(numbers))
    if isinstance(part, list | tuple):
        return [_placed(item, numbers) for item in part]
    if isinstance(part, Mapping):
        config = part.get("config")
        if part.get("class_name") in ("__numpy__", "__tensor__") and isinstance(config, Mapping):
            return config.get("value")
        return {key: _placed(part[key], numbers) for key in sorted(part)}
    return part
