"""Pooling: windows, strides and padding, sizes odd and even, ties; global pooling."""

from __future__ import annotations

from itertools import product

from parity_tests.rule_cases.case import Case

_SIZES = {1: ((9, 3),), 2: ((7, 6, 3), (8, 9, 3)), 3: ((5, 6, 4, 2),)}

CASES = [
    Case(
        f"{kind}Pooling{axes}D",
        (shape,),
        {"pool_size": window, "strides": strides, "padding": padding},
        # Of tied values TensorFlow's MaxPool3D lets all take the gradient, the others the first, as torch.
        values="whole" if kind == "Max" and window == 3 and axes < 3 else "normal",
        # TensorFlow has its gradients in float32 alone.
        dtypes=("float32",) if axes == 3 else ("float64", "float32"),
    )
    for kind, axes in product(("Max", "Average"), (1, 2, 3))
    for shape in _SIZES[axes]
    for window, strides, padding in product((2, 3), (1, 2, 3) if axes == 2 else (1, 2), ("valid", "same"))
]
CASES += [
    Case(f"{kind}Pooling2D", ((10, 13, 3),), {"pool_size": [5, 3], "strides": [3, 2], "padding": "same"})
    for kind in ("Max", "Average")
]
CASES += [
    Case(f"{kind}Pooling2D", ((None, None, 3),), {"pool_size": 2, "padding": "same"})
    for kind in ("Max", "Average")
]
CASES += [
    Case(f"Global{kind}Pooling{axes}D", (_SIZES[axes][0],), arguments, values=values)
    for kind, axes in product(("Max", "Average"), (1, 2, 3))
    for arguments, values in (({}, "normal"), ({"keepdims": True}, "whole"))
]
