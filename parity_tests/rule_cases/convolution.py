"""Convolutions: strides, padding, dilation, groups, multipliers; sizes odd and even."""

from __future__ import annotations

from itertools import product

from parity_tests.rule_cases.case import Case

_SIZES = {1: (8,), 2: (7, 6), 3: (5, 6, 5)}
_SHAPES = {axes: (*sizes, 4) for axes, sizes in _SIZES.items()}


def _convolutions(axes: int) -> list[Case]:
    layer, shape = f"Conv{axes}D", (_SHAPES[axes],)
    window = {"filters": 6}
    windows = [
        {**window, "kernel_size": kernel, "strides": stride, "padding": padding}
        for kernel, stride, padding in product((1, 2, 3)[axes // 3 :], (1, 2), ("valid", "same"))
    ]
    windows += [
        {**window, "kernel_size": kernel, "dilation_rate": 2, "padding": padding}
        for kernel, padding in product((2, 3), ("valid", "same"))
    ]
    windows += [
        {**window, "kernel_size": 3, "groups": 2, "use_bias": False},
        {**window, "kernel_size": 3, "padding": "same", "activation": "relu", "use_bias": False},
        {**window, "kernel_size": 2, "activation": "softmax"},
    ]
    cases = [Case(layer, shape, arguments) for arguments in windows]
    return cases


CASES = [case for axes in (1, 2, 3) for case in _convolutions(axes)]
CASES += [
    Case(
        "Conv1D", ((9, 4),), {"filters": 5, "kernel_size": 3, "padding": "causal", "dilation_rate": dilation}
    )
    for dilation in (1, 2)
]
CASES += [
    Case("Conv1D", ((9, 4),), {"filters": 5, "kernel_size": 3, "padding": "causal", "strides": 2}),
    Case("Conv2D", ((7, 8, 4),), {"filters": 5, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same"}),
    Case("Conv2D", ((7, 8, 4),), {"filters": 5, "kernel_size": [1, 5], "padding": "same"}),
    Case("Conv2D", ((8, 8, 4),), {"filters": 5, "kernel_size": 5, "strides": 3, "padding": "same"}),
    # An unknown size.
    Case("Conv2D", ((None, None, 4),), {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same"}),
]

_DEPTHWISE = [
    {"kernel_size": kernel, "strides": stride, "padding": padding}
    for kernel, stride, padding in product((2, 3), (1, 2), ("valid", "same"))
]
_DEPTHWISE += [
    {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"},
    {"kernel_size": 3, "dilation_rate": 2, "padding": "same", "use_bias": False},
    {"kernel_size": 3, "activation": "relu"},
]
CASES += [
    Case(f"DepthwiseConv{axes}D", (_SHAPES[axes],), arguments)
    for axes, arguments in product((1, 2), _DEPTHWISE)
]

_SEPARABLE = [
    {"filters": 5, "kernel_size": kernel, "strides": stride, "padding": padding}
    for kernel, stride, padding in product((2, 3), (1, 2), ("valid", "same"))
]
_SEPARABLE += [
    {"filters": 5, "kernel_size": 3, "depth_multiplier": 2, "padding": "same"},
    {"filters": 5, "kernel_size": 3, "dilation_rate": 2, "padding": "same", "use_bias": False},
    {"filters": 5, "kernel_size": 3, "activation": "relu"},
]
CASES += [
    Case(f"SeparableConv{axes}D", (_SHAPES[axes],), arguments)
    for axes, arguments in product((1, 2), _SEPARABLE)
]
