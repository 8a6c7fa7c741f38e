"""Functions that change a tensor's shape, or take a part of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from porting.keras_file.problems import shown
from porting.rules.operation_arguments import Operation, Place
from porting.rules.piece import Order, Piece, Refused, keras_order
from porting.rules.shape import reshaped

Bound = tuple[int | None, int | None, int | None]
_WHOLE = {"start": None, "stop": None, "step": None}


def _concatenated(operation: Operation) -> Piece:
    parts = operation.argument(0, "values", "xs", "tensors")
    values = operation.site.inputs
    rank = len(values[0].shape)
    if not isinstance(parts, list) or not all(isinstance(part, Place) for part in parts):
        raise Refused("it joins other things than tensors")
    axis = operation.argument(1, "axis", default=-1)
    if type(axis) is not int or any(len(value.shape) != rank for value in values) or axis % rank == 0:
        raise Refused(f"it joins along axis {shown(axis)}")
    axis %= rank
    order = values[0].order
    sizes = [value.shape[axis] for value in values]
    total = None if None in sizes else sum(size or 0 for size in sizes)
    shape = (*values[0].shape[:axis], total, *values[0].shape[axis + 1 :])
    places = ", ".join(f"{{{place}}}" for place in range(len(values)))
    merge = f"torch.cat([{places}], dim={order.index(axis)})"
    return Piece(merge=merge, orders=(order,) * len(values), order=order, shape=shape)


def _stacked(operation: Operation) -> Piece:
    """Tensors along a new axis; as the last one of images it is their channels, which come second here."""
    parts = operation.argument(0, "values", "x", "xs", "arrays")
    values = operation.site.inputs
    rank = len(values[0].shape) + 1
    axis = operation.argument(1, "axis", default=0)
    if not isinstance(parts, list) or not all(isinstance(part, Place) for part in parts):
        raise Refused("it joins other things than tensors")
    if type(axis) is not int or not -rank < axis < rank or axis % rank == 0:
        raise Refused(f"it joins along a new axis {shown(axis)}")
    axis %= rank
    order = values[0].order
    moved = [old + (old >= axis) for old in order]
    place = 1 if axis == rank - 1 and rank > 2 and order == keras_order(rank - 1) else rank - 1
    places = ", ".join(f"{{{number}}}" for number in range(len(values)))
    shape = (*values[0].shape[:axis], len(values), *values[0].shape[axis:])
    return Piece(
        merge=f"torch.stack([{places}], dim={place})",
        orders=(order,) * len(values),
        order=(*moved[:place], axis, *moved[place:]),
        shape=shape,
    )


def _reshaped(operation: Operation) -> Piece:
    operation.single()
    target = operation.argument(1, "shape", "newshape")
    sizes = list(target) if isinstance(target, list | tuple) else []
    # The batch axis may be stated as -1 or as unknown.
    if len(sizes) < 2 or sizes[0] not in (-1, None):
        raise Refused(f"a reshape to {shown(target)} has no rule: it does not leave the batch as it is")
    return reshaped(operation.site, sizes[1:])


def _transposed(operation: Operation) -> Piece:
    value = operation.single()
    axes = operation.numbers(operation.argument(1, "perm", "axes"), "perm")
    if sorted(axes) != list(range(len(value.shape))) or axes[0] != 0:
        raise Refused(f"the order {shown(axes)} of axes has no rule")
    return operation.gives("{0}", tuple(map(axes.index, value.order)), [value.shape[axis] for axis in axes])


def _expanded(operation: Operation) -> Piece:
    value = operation.single()
    (axis, *more) = operation.numbers(operation.argument(1, "axis"), "axis")
    rank = len(value.shape) + 1
    if more or not -rank < axis < rank or axis % rank == 0:
        raise Refused(f"axis={axis} has no rule")
    axis %= rank
    # Keras's axes from this one on move one back; here the new one is the last.
    order = (*(old + (old >= axis) for old in value.order), axis)
    return operation.gives("{0}.unsqueeze(-1)", order, [*value.shape[:axis], 1, *value.shape[axis:]])


def _squeezed(operation: Operation) -> Piece:
    value = operation.single()
    axes = operation.axes(operation.argument(1, "axis", "squeeze_dims"))
    if any(value.shape[axis] != 1 for axis in axes):
        raise Refused(f"its axes {axes} are not of size 1")
    places = [value.order.index(axis) for axis in axes]
    dims = str(tuple(sorted(places))) if len(places) > 1 else str(places[0])
    return operation.gives(f"{{0}}.squeeze({dims})", *_without(operation, axes))


def _without(operation: Operation, axes: list[int]) -> tuple[Order, list[int | None]]:
    """The order and the shape that are left."""
    value = operation.site.input
    kept = [axis for axis in range(len(value.shape)) if axis not in axes]
    return tuple(kept.index(axis) for axis in value.order if axis in kept), [value.shape[a] for a in kept]


def _taken(operation: Operation) -> Piece:
    """`x[:, 1:, :, 0]`."""
    value = operation.single()
    stated = operation.argument(1, "slice_spec", "key")
    rank = len(value.shape)
    items = _without_ellipsis(list(stated) if isinstance(stated, list | tuple) else [stated], rank)
    if len(items) > rank or not all(type(item) is int or _slice(item) is not None for item in items):
        raise Refused(f"the index {shown(stated)} has no rule")
    items += [_WHOLE] * (rank - len(items))
    bounds = [None if type(item) is int else _slice(item) for item in items]
    if bounds[0] != (None, None, None):
        raise Refused("a part of the batch has no rule")
    said, sizes, dropped, turned = [""] * rank, list(value.shape), [], []
    for axis, (item, bound) in enumerate(zip(items, bounds, strict=True)):
        if bound is None:
            said[axis] = str(item)
            dropped.append(axis)
            continue
        if bound[2] is not None and bound[2] < 1:
            bound = _ascending(bound, value.shape[axis])
            turned.append(axis)
        start, stop, step = bound
        texts = ["" if number is None else str(number) for number in (start, stop)]
        said[axis] = ":".join([*texts, *([] if step is None else [str(step)])])
        size = value.shape[axis]
        if size is not None:
            sizes[axis] = len(range(*slice(*bound).indices(size)))
        elif bound != (None, None, None):
            sizes[axis] = None
    order, _ = _without(operation, dropped)
    taken = [said[axis] for axis in value.order]
    while taken and taken[-1] == ":":
        del taken[-1]
    expression = f"{{0}}[{', '.join(taken)}]" if taken else "{0}"
    if turned:
        places = sorted(order.index(axis - sum(each < axis for each in dropped)) for axis in turned)
        expression += f".flip({', '.join(map(str, places))})"
    return operation.gives(expression, order, [size for a, size in enumerate(sizes) if a not in dropped])


def _without_ellipsis(items: list[Any], rank: int) -> list[Any]:
    """An index with as many whole axes in the place of its `...` as it stands for."""
    places = [place for place, item in enumerate(items) if _class_of(item) == "__ellipsis__"]
    if len(places) != 1:
        return items
    (place,) = places
    return [*items[:place], *[_WHOLE] * (rank - len(items) + 1), *items[place + 1 :]]


def _class_of(item: Any) -> Any:
    return item.get("class_name") if isinstance(item, dict) else None


def _ascending(bound: Bound, size: int | None) -> Bound:
    """The slice that takes the same from the front: torch has no negative steps.

    Raises:
        Refused: It hangs on a size that is not fixed, or a step of 0.
    """
    step = bound[2] or 0
    if size is None and bound == (None, None, -1):
        return None, None, None
    if size is None or step == 0:
        raise Refused(f"the step {step} has no rule")
    taken = range(*slice(*bound).indices(size))
    if not taken:
        return 0, 0, None
    if (taken[-1], taken[0], step) == (0, size - 1, -1):
        return None, None, None
    return taken[-1], taken[0] + 1, None if step == -1 else -step


def _slice(item: Any) -> Bound | None:
    """A slice of either generation's spelling; None of anything else."""
    if _class_of(item) not in (None, "__slice__"):
        return None
    if isinstance(item, dict) and item.get("class_name") == "__slice__":
        item = item.get("config")
    if not isinstance(item, dict):
        return None
    start, stop, step = (item.get(key) for key in ("start", "stop", "step"))
    is_whole = all(number is None or type(number) is int for number in (start, stop, step))
    return (start, stop, step) if is_whole else None


def _same(operation: Operation) -> Piece:
    value = operation.single()
    if operation.argument(1, "dtype", default="float32") not in ("float32", "float64"):
        raise Refused(f"a cast to {shown(operation.argument(1, 'dtype'))} has no rule")
    return operation.gives("{0}", value.order, value.shape)


def _padded(operation: Operation) -> Piece:
    value = operation.single()
    stated, mode = (
        operation.argument(1, "paddings", "pad_width"),
        operation.argument(2, "mode", default="constant"),
    )
    constant = operation.named.get("constant_values") or 0
    rows = stated if isinstance(stated, list) else []
    is_pairs = all(isinstance(row, list) and [type(number) for number in row] == [int, int] for row in rows)
    if str(mode).lower() != "constant" or len(rows) != len(value.shape) or not is_pairs or any(rows[0]):
        raise Refused(f"padding {shown(stated)} of mode {shown(mode)} has no rule")
    # torch begins with the last axis.
    numbers = [number for axis in reversed(value.order[1:]) for number in rows[axis]]
    more = f", value={float(constant)!r}" if constant else ""
    sizes = [None if size is None else size + sum(row) for size, row in zip(value.shape, rows, strict=True)]
    return operation.gives(f"F.pad({{0}}, {tuple(numbers)!r}{more})", value.order, sizes)


SHAPES: dict[str, Callable[[Operation], Piece]] = {
    **dict.fromkeys(("concat", "concatenate"), _concatenated),
    "stack": _stacked,
    "reshape": _reshaped,
    "transpose": _transposed,
    "expand_dims": _expanded,
    "squeeze": _squeezed,
    **dict.fromkeys(("getitem", "get_item"), _taken),
    **dict.fromkeys(("cast", "identity"), _same),
    "pad": _padded,
}
