"""Normalization: axes, ranks, what is left out."""

from __future__ import annotations

import importlib
from itertools import product
from typing import Any

from parity_tests.rule_cases.case import Case


def _convnext(layer: str, **arguments: Any) -> Any:
    """A layer that keras.applications keeps to itself."""

    def build(keras: Any, inputs: list[Any]) -> Any:
        module = importlib.import_module(f"{keras.__name__}.src.applications.convnext")
        return getattr(module, layer)(**arguments, name="layer")(inputs[0])

    return build


_SHAPES = {2: (5,), 3: (6, 5), 4: (4, 3, 5), 5: (3, 4, 2, 5)}

CASES = [
    Case("BatchNormalization", (shape,), {"axis": axis, "epsilon": 0.02, "momentum": 0.9})
    for rank, shape in _SHAPES.items()
    for axis in (-1, *range(1, rank))
]
CASES += [
    Case("BatchNormalization", (_SHAPES[rank],), {"scale": scale, "center": center})
    for rank, scale, center in product((2, 4), (True, False), (True, False))
]
# A single value a channel: torch refuses a batch of one in training.
CASES += [
    Case("BatchNormalization", (shape,), {"momentum": 0.9}, says=f"batch of {batch}", batch=batch)
    for shape in ((5,), (1, 5), (1, 1, 5), (1, 1, 1, 5))
    for batch in (1, 2)
]
CASES += [
    Case("LayerNormalization", (_SHAPES[2],)),
    *(Case("LayerNormalization", (_SHAPES[4],), {"axis": axis}) for axis in (-1, 1, 2, [1, 2, 3], [2, 3])),
    Case("LayerNormalization", (_SHAPES[3],), {"epsilon": 1e-6}),
    Case("LayerNormalization", (_SHAPES[4],), {"center": False}),
    Case("LayerNormalization", (_SHAPES[4],), {"center": False, "scale": False}),
]
CASES += [
    Case("GroupNormalization", ((4, 3, 6),), {"groups": groups, **more})
    for groups in (1, 2, 6, -1)
    for more in ({}, {"epsilon": 1e-5})
]
CASES += [
    Case("GroupNormalization", ((4, 3, 6),), {"groups": 3, "scale": scale, "center": center})
    for scale, center in ((True, False), (False, True), (False, False))
]
CASES += [
    Case("GroupNormalization", ((4, 3, 6),), {"groups": 2, "axis": 1}),
    Case("GroupNormalization", ((8, 6),), {"groups": 3}),
    *(Case("UnitNormalization", (_SHAPES[4],), {"axis": axis}) for axis in (-1, 1, [1, 2])),
    Case("UnitNormalization", (_SHAPES[2],)),
]
CASES += [
    Case(
        "LayerScale",
        (_SHAPES[4],),
        build=_convnext("LayerScale", init_values=1e-6, projection_dim=5),
        says="ConvNeXt",
    ),
    Case(
        "StochasticDepth",
        (_SHAPES[4],),
        build=_convnext("StochasticDepth", drop_path_rate=0.2),
        says="ConvNeXt",
    ),
]
