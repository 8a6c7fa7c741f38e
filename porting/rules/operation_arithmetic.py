"""Arithmetic on tensors and constants.

An expression of one tensor begins with a call, so that it may be written into another: `x.add(3.0)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from porting.keras_file.problems import shown
from porting.rules.merge import order_of_largest
from porting.rules.operation_arguments import Operation, Place
from porting.rules.operation_constants import with_array
from porting.rules.piece import Piece, Refused

# Of two tensors; of a tensor and a number; of a number and a tensor.
_BINARY: dict[str, tuple[str, str, str | None]] = {
    "add": ("{0} + {1}", "{{0}}.add({0})", "{{0}}.add({0})"),
    "subtract": ("{0} - {1}", "{{0}}.sub({0})", "{{0}}.neg().add({0})"),
    "multiply": ("{0} * {1}", "{{0}}.mul({0})", "{{0}}.mul({0})"),
    "divide": ("{0} / {1}", "{{0}}.div({0})", "{{0}}.reciprocal().mul({0})"),
    "maximum": ("torch.maximum({0}, {1})", "{{0}}.clamp(min={0})", "{{0}}.clamp(min={0})"),
    "minimum": ("torch.minimum({0}, {1})", "{{0}}.clamp(max={0})", "{{0}}.clamp(max={0})"),
    "pow": ("torch.pow({0}, {1})", "{{0}}.pow({0})", None),
}


def _binary(name: str) -> Callable[[Operation], Piece]:
    def rule(operation: Operation) -> Piece:
        left, right = operation.argument(0, "x", "x1"), operation.argument(1, "y", "x2")
        if isinstance(left, Place) and isinstance(right, Place):
            return _of_tensors(name, operation)
        if not isinstance(left, Place) and not isinstance(right, Place):
            raise Refused(f"{name} of two constants has no rule")
        tensor_first = isinstance(left, Place)
        constant = right if tensor_first else left
        if isinstance(constant, list):
            return with_array(operation, constant, _BINARY[name][0], tensor_first)
        function = _BINARY[name][1 if tensor_first else 2]
        if type(constant) not in (int, float) or function is None:
            raise Refused(f"{name} with {shown(constant)} has no rule")
        value = operation.site.input
        return operation.gives(function.format(repr(constant)), value.order, value.shape)

    return rule


def _of_tensors(name: str, operation: Operation) -> Piece:
    values = operation.site.inputs
    shapes = [value.shape for value in values]
    if len(values) != 2 or len(shapes[0]) != len(shapes[1]):
        raise Refused(f"{name} of tensors of {len(shapes[0])} and {len(shapes[-1])} axes has no rule")
    order = order_of_largest(values)
    shape = tuple(
        right if left == 1 else left if right == 1 else right if left is None else left
        for left, right in zip(*shapes, strict=True)
    )
    return Piece(merge=_BINARY[name][0], orders=(order, order), order=order, shape=shape)


def _bias_add(operation: Operation) -> Piece:
    """tf.nn.bias_add: a number for each channel."""
    bias, layout = operation.argument(1, "bias"), operation.argument(2, "data_format", default="NHWC")
    if not isinstance(bias, list):
        raise Refused(f"a bias of {shown(bias)} has no rule")
    if str(layout).startswith("NC"):
        ones: list[Any] = bias
        for _ in range(operation.site.rank - 2):
            ones = [[each] for each in ones]
        bias = ones
    return with_array(operation, bias, "{0} + {1}", tensor_first=True)


def _clip(operation: Operation) -> Piece:
    value = operation.single()
    low = operation.argument(1, "clip_value_min", "x_min", "min_value")
    high = operation.argument(2, "clip_value_max", "x_max", "max_value")
    if not all(type(bound) in (int, float) for bound in (low, high)):
        raise Refused(f"it clips at {shown(low)} and {shown(high)}, which are no numbers")
    return operation.gives(f"{{0}}.clamp({low!r}, {high!r})", value.order, value.shape)


ARITHMETIC: dict[str, Callable[[Operation], Piece]] = {
    **{name: _binary(name) for name in _BINARY},
    **dict.fromkeys(("truediv", "realdiv", "true_divide"), _binary("divide")),
    "power": _binary("pow"),
    "bias_add": _bias_add,
    **dict.fromkeys(("clip_by_value", "clip"), _clip),
}
