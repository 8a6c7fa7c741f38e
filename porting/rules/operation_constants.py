"""Arithmetic of a tensor with an array of numbers, such as a mean and a deviation for each channel.

The numbers stand in the source, and take the tensor's dtype where they are used: Keras rounds them to it,
too, and nothing else.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from porting.keras_file.problems import shown
from porting.output_shapes import Shape
from porting.rules.operation_arguments import Operation
from porting.rules.piece import Piece, Refused, Value, channels_first_order

# More of them are no line of a program.
_MOST_NUMBERS = 1000


def with_array(operation: Operation, constant: list[Any], expression: str, tensor_first: bool) -> Piece:
    """The piece of an operator between the only tensor and an array, which broadcasts as in Keras.

    Args:
        operation: The function.
        constant: Numbers in lists.
        expression: Of two tensors, "{0} + {1}".
        tensor_first: Whether the tensor is the left one.

    Raises:
        Refused: They do not fit, or are of the batch.
    """
    value = operation.site.input
    numbers = _array(constant)
    shape = _broadcast(value, numbers)
    rank = len(value.shape)
    order = value.order if numbers.size == 1 or rank < 3 else channels_first_order(rank)
    in_torch_order = numbers.reshape((1,) * (rank - numbers.ndim) + numbers.shape).transpose(order)
    sides = ["{0}", _source(in_torch_order)]
    merge = expression.format(*(sides if tensor_first else reversed(sides)))
    return Piece(merge=merge, orders=(order,), order=order, shape=shape)


def _array(constant: list[Any]) -> np.ndarray:
    try:
        numbers = np.array(constant)
    except ValueError:
        numbers = np.array(None)
    if numbers.dtype.kind not in "if" or not np.isfinite(numbers).all() or numbers.size == 0:
        raise Refused(f"it has no rule for {shown(constant)}, which are no numbers in rows of one length")
    if numbers.size > _MOST_NUMBERS:
        raise Refused(f"it has a rule for up to {_MOST_NUMBERS} numbers, not for {numbers.size}")
    return numbers


def _broadcast(value: Value, numbers: np.ndarray) -> Shape:
    """The shape of the result, in Keras's order."""
    rank, sizes = len(value.shape), numbers.shape
    padded = (1,) * (rank - len(sizes)) + sizes
    fits = len(sizes) <= rank and padded[0] == 1
    if not fits or any(
        number != 1 and size not in (None, 1, number)
        for size, number in zip(value.shape, padded, strict=True)
    ):
        raise Refused(f"an array of shape {sizes} has no rule with a tensor of shape {shown(value.shape)}")
    return tuple(
        number if number != 1 and size in (None, 1) else size
        for size, number in zip(value.shape, padded, strict=True)
    )


def _source(numbers: np.ndarray) -> str:
    """The array as an expression: `x.new_tensor([0.5, 0.25]).view(-1, 1, 1)`."""
    sizes = list(numbers.shape)
    while sizes and sizes[0] == 1:
        del sizes[0]
    row = numbers.ravel().tolist()
    if not sizes:
        return f"{{0}}.new_tensor({row[0]!r})"
    if len(sizes) == 1:
        return f"{{0}}.new_tensor({row!r})"
    # One open size reads better, and means the same.
    is_column = math.prod(sizes[1:]) == 1
    view = ", ".join(map(str, [-1, *sizes[1:]] if is_column else sizes))
    return f"{{0}}.new_tensor({row!r}).view({view})"
