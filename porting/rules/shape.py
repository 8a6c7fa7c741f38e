"""Layers that change only a tensor's shape: Flatten, Reshape, Permute, RepeatVector.

Source: keras 3.15 layers/reshaping; the same in tf_keras 2.21.
"""

from __future__ import annotations

import math
from typing import Any

from porting.keras_file.problems import shown
from porting.rules.piece import Make, Piece, Refused, Site, Step, channels_first_order, keras_order, known

_FLATTEN = Step(Make("nn.Flatten"), "{}.flatten(1)")


def flatten(site: Site) -> Piece:
    """Flatten, in Keras's order (D08)."""
    rank, order = site.rank, site.input.order
    if rank == 1:
        return _shaped(site, Step(Make("nn.Unflatten", {"dim": 0, "size": (-1, 1)}), "{}.unsqueeze(1)"), (1,))
    if not site.is_channels_last and rank > 2:
        # keras 3.15 layers/reshaping/flatten.py: channels_first is transposed to channels_last first.
        order = keras_order(rank)
    elif order != channels_first_order(rank):
        order = keras_order(rank)
    flat = keras_order(2)
    channels_come_second = not site.is_channels_last or order != keras_order(rank)
    if rank > 2 and channels_come_second and not _is_same_either_way(site, order):
        moved = Step(Make("Flatten"), "{}.movedim(1, -1).flatten(1)")
        return Piece((moved,), orders=(order,), order=flat, differences=("D08",))
    return Piece((_FLATTEN,) if rank > 2 else (), orders=(order,), order=flat)


def _is_same_either_way(site: Site, order: tuple[int, ...]) -> bool:
    """Whether the channels are one, or all that there is."""
    channels, *others = (site.input.shape[axis] for axis in order[1:])
    return channels == 1 or set(others) == {1}


def reshape(site: Site) -> Piece:
    """Reshape of each example, in Keras's order of axes."""
    return reshaped(site, site.stated("target_shape"))


def reshaped(site: Site, stated: Any) -> Piece:
    """Each example in another shape.

    Args:
        site: The layer.
        stated: The shape without the batch axis; one size may be -1 or None.

    Raises:
        Refused: It does not hold as many numbers.
    """
    target = (stated,) if isinstance(stated, int) else tuple(stated)
    total = math.prod(known(size, "its input's shape") for size in site.input.shape[1:])
    target = tuple(-1 if size is None else size for size in target)
    if target.count(-1) > 1 or not all(type(size) is int for size in target):
        raise Refused(f"target_shape={shown(target)} is no shape")
    fixed = math.prod(size for size in target if size != -1)
    if fixed <= 0 or total % fixed or (-1 not in target and total != fixed):
        raise Refused(f"target_shape={shown(target)} does not hold {total} numbers")
    return _reshaped(site, tuple(total // fixed if size == -1 else size for size in target))


def _reshaped(site: Site, shape: tuple[int, ...]) -> Piece:
    rank, channels = site.rank, site.input.shape[-1]
    first = channels_first_order(rank) if rank > 1 else keras_order(rank)
    keeps_channels = len(shape) > 0 and shape[-1] == channels
    if keeps_channels and len(shape) > 1 and (rank == 2 or (rank > 3 and site.input.order == first)):
        # The channels stay the last axis: here they stay the second.
        order = channels_first_order(len(shape) + 1)
        turned = (shape[-1], *shape[:-1])
        return Piece((_to(turned, rank),), orders=(first,), order=order, shape=(None, *shape))
    alone = rank > 2 and set(site.input.shape[1:-1]) == {1}
    if len(shape) == 1 and alone and site.input.order == first:
        return Piece((_FLATTEN,), orders=(first,), order=keras_order(2), shape=(None, *shape))
    return _shaped(site, _to(shape, rank), shape)


def _shaped(site: Site, step: Step, shape: tuple[int, ...]) -> Piece:
    """A step that takes and gives Keras's order."""
    orders = (keras_order(site.rank),)
    return Piece((step,), orders=orders, order=keras_order(len(shape) + 1), shape=(None, *shape))


def _to(shape: tuple[int, ...], rank: int) -> Step:
    """Each example to a shape, as torch has both."""
    if len(shape) == 1:
        return _FLATTEN
    if rank == 2:
        ones = ", None" * (len(shape) - 1)
        function = f"{{}}[:, :{ones}]" if set(shape[1:]) == {1} else f"{{}}.unflatten(1, {shape!r})"
        return Step(Make("nn.Unflatten", {"dim": 1, "unflattened_size": shape}), function)
    make = Make("Reshape", {f"size{place}": size for place, size in enumerate(shape)})
    return Step(make, f"{{}}.reshape(-1, {', '.join(map(str, shape))})")


def permute(site: Site) -> Piece:
    """Permute: another name for the axes; nothing moves until a layer asks for another order."""
    dims = site.stated("dims")
    axes = (0, *dims) if isinstance(dims, list) else ()
    if sorted(axes) != list(range(site.rank)):
        raise Refused(f"dims={shown(dims)} are not the axes 1 to {site.rank - 1}")
    order = site.input.order
    shape = tuple(site.input.shape[axis] for axis in axes)
    return Piece(orders=(order,), order=tuple(axes.index(axis) for axis in order), shape=shape)


def repeat_vector(site: Site) -> Piece:
    """RepeatVector: `(N, C)` to `(N, n, C)`."""
    count = site.stated("n")
    step = Step(Make("RepeatVector", {"count": count}), f"{{}}.unsqueeze(1).expand(-1, {count}, -1)")
    return _shaped(site, step, (count, known(site.input.shape[-1], "the number of its features")))


RULES = {"Flatten": flatten, "Reshape": reshape, "Permute": permute, "RepeatVector": repeat_vector}
