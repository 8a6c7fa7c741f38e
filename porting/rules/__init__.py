"""What becomes of each Keras layer: one file a family, one function a layer or a few.

A rule takes a `Site`, a layer at one of its calls, and gives a `Piece`: the torch code, and the places of the
weights. It refuses, naming the argument, what it cannot carry over exactly; it never guesses.
"""

from __future__ import annotations

from collections.abc import Callable

from porting.rules import (
    activation,
    attention,
    augmentation,
    convolution,
    dense,
    dropout,
    embedding,
    image,
    merge,
    normalization,
    operation,
    padding,
    pooling,
    recurrent,
    resizing,
    shape,
    transposed,
    wrapper,
)
from porting.rules.piece import Piece, Site

Rule = Callable[[Site], Piece]

FAMILIES = (
    activation,
    attention,
    augmentation,
    convolution,
    dense,
    dropout,
    embedding,
    image,
    merge,
    normalization,
    operation,
    padding,
    pooling,
    recurrent,
    resizing,
    shape,
    transposed,
)

RULES: dict[str, Rule] = {name: rule for family in FAMILIES for name, rule in family.RULES.items()}
"""Keras class to its rule."""

RULES |= wrapper.rules_with(RULES)
