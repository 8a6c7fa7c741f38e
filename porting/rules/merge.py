"""Layers that take several tensors: Add and its kin, Concatenate, Dot.

Source: keras 3.15 layers/merging; the same in tf_keras 2.21.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from porting.keras_file.problems import shown
from porting.output_shapes import Shape
from porting.rules.piece import Order, Piece, Refused, Site, Value, keras_order


def elementwise(expression: Callable[[list[str]], str], count: int | None = None) -> Callable[[Site], Piece]:
    """A rule for a function of tensors whose shapes are alike or 1.

    Args:
        expression: Of the places "{0}", "{1}" …, in brackets where it is no single call.
        count: How many tensors it takes; None: two or more.
    """

    def rule(site: Site) -> Piece:
        ranks = {len(value.shape) for value in site.inputs}
        if len(site.inputs) < 2 or len(ranks) != 1 or (count and len(site.inputs) != count):
            raise Refused(f"it merges {len(site.inputs)} tensors of {_numbers(ranks)} axes")
        order = order_of_largest(site.inputs)
        places = [f"{{{place}}}" for place in range(len(site.inputs))]
        return Piece(merge=expression(places), orders=(order,) * len(places), order=order)

    return rule


def _numbers(ranks: set[int]) -> str:
    return " and ".join(map(str, sorted(ranks)))


def order_of_largest(values: tuple[Value, ...]) -> Order:
    """So that a broadcast factor turns its axes, not the image it is for; an unknown size is large."""
    return max(values, key=lambda value: math.prod(size or 1000 for size in value.shape[1:])).order


def concatenate(site: Site) -> Piece:
    """Concatenate along an axis."""
    ranks = {len(value.shape) for value in site.inputs}
    if len(ranks) != 1:
        raise Refused(f"it joins {len(site.inputs)} tensors of {_numbers(ranks)} axes")
    order: Order = site.inputs[0].order
    axis = site.inputs[0].torch_axis(site.config.get("axis", -1))
    places = ", ".join(f"{{{place}}}" for place in range(len(site.inputs)))
    return Piece(merge=f"torch.cat([{places}], dim={axis})", orders=(order,) * len(site.inputs), order=order)


def scaled_sum(site: Site) -> Piece:
    """CustomScaleLayer of keras.applications' InceptionResNetV2: a tensor and a part of another."""
    scale = site.stated("scale")
    if type(scale) not in (int, float):
        raise Refused(f"scale={shown(scale)} is not a number")
    return elementwise(lambda places: f"{places[0]} + {places[1]} * {scale!r}", 2)(site)


def dot(site: Site) -> Piece:
    """Dot along one axis of each of two tensors, which may be brought to length 1 first."""
    if len(site.inputs) != 2:
        raise Refused(f"it takes {len(site.inputs)} tensors where two are expected")
    stated = site.config.get("axes", -1)
    pair = stated if isinstance(stated, list) else [stated, stated]
    shapes = [value.shape for value in site.inputs]
    if len(pair) != 2 or not all(type(axis) is int for axis in pair):
        raise Refused(f"axes={shown(stated)} are not one axis of each tensor")
    axes = [axis % len(shape) for axis, shape in zip(pair, shapes, strict=True)]
    if 0 in axes:
        raise Refused("a product along the batch has no rule")
    places = ["{0}", "{1}"]
    if site.config.get("normalize"):
        places = [f"F.normalize({place}, dim={axis})" for place, axis in zip(places, axes, strict=True)]
    merge = f'torch.einsum("{_equation(shapes, axes)}", {", ".join(places)})'
    kept = (
        size
        for sizes, axis in zip(shapes, axes, strict=True)
        for size in (*sizes[1:axis], *sizes[axis + 1 :])
    )
    shape: Shape = (None, *kept)
    if len(shape) == 1:
        merge, shape = f"{merge}.unsqueeze(1)", (None, 1)
    orders = tuple(keras_order(len(sizes)) for sizes in shapes)
    return Piece(merge=merge, orders=orders, order=keras_order(len(shape)), shape=shape)


def _equation(shapes: list[Shape], axes: list[int]) -> str:
    """einsum's: "n" is the batch, "k" the axis of the product."""
    letters = iter("abcdefgh")
    sides = [
        ["n", *("k" if place == axis else next(letters) for place in range(1, len(shape)))]
        for shape, axis in zip(shapes, axes, strict=True)
    ]
    kept = [letter for side in sides for letter in side[1:] if letter != "k"]
    return f"{''.join(sides[0])},{''.join(sides[1])}->n{''.join(kept)}"


def _nested(function: str) -> Callable[[list[str]], str]:
    def expression(places: list[str]) -> str:
        found = places[0]
        for place in places[1:]:
            found = f"{function}({found}, {place})"
        return found

    return expression


RULES = {
    "Add": elementwise(" + ".join),
    "Subtract": elementwise(" - ".join, 2),
    "Multiply": elementwise(" * ".join),
    "Average": elementwise(lambda places: f"({' + '.join(places)}) / {len(places)}"),
    "Maximum": elementwise(_nested("torch.maximum")),
    "Minimum": elementwise(_nested("torch.minimum")),
    "Concatenate": concatenate,
    "CustomScaleLayer": scaled_sum,
    "Dot": dot,
}
