"""Layers that bring the values of images into a range: Rescaling, Normalization.

Source: keras 3.15 layers/preprocessing/rescaling.py and normalization.py; tf_keras 2.21
layers/preprocessing/image_preprocessing.py and normalization.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from porting.keras_file.problems import shown
from porting.rules.piece import (
    Carry,
    Make,
    Order,
    Piece,
    Refused,
    Site,
    Step,
    known,
)


def rescaling(site: Site) -> Piece:
    """Rescaling by one number, or by one for each channel."""
    scale, offset = _numbers(site, "scale", None), _numbers(site, "offset", 0.0)
    order = site.input.order
    if isinstance(scale, tuple) or isinstance(offset, tuple):
        # Keras broadcasts lists along its last axis.
        others = (axis for axis in range(1, site.rank - 1))
        order = (0, site.rank - 1, *others)
    make = Make("Rescaling", {"scale": scale}, {} if offset == 0 else {"offset": offset})
    return Piece((Step(make),), orders=(order,), order=order)


def _numbers(site: Site, key: str, default: float | None) -> float | tuple[float, ...]:
    stated = site.config.get(key, default)
    if isinstance(stated, dict):
        # An array: {"class_name": "__numpy__", "config": {"value", "dtype"}}, in tf_keras {"type", "value"}.
        stated = stated.get("value", (stated.get("config") or {}).get("value"))
    if type(stated) in (int, float):
        return float(stated)
    if isinstance(stated, list) and stated and all(type(number) in (int, float) for number in stated):
        if len(stated) not in (1, site.input.shape[-1]):
            raise Refused(f"{key}={shown(stated)} does not fit {site.input.shape[-1]} channels")
        return tuple(map(float, stated))
    raise Refused(f"{key}={shown(stated)} is neither a number nor a list of them")


def normalization(site: Site) -> Piece:
    """Normalization by a mean and a variance: weights of the layer, or numbers in its config."""
    stated = site.config.get("axis", -1)
    axes = stated if isinstance(stated, list) else [] if stated is None else [stated]
    if not all(type(axis) is int and axis % site.rank for axis in axes):
        raise Refused(f"axis={shown(stated)} has no rule")
    kept = sorted(axis % site.rank for axis in axes)
    order: Order = site.input.order
    sizes = {axis: known(site.input.shape[axis], f"the size of axis {axis}") for axis in kept}
    shape = tuple(sizes.get(axis, 1) for axis in order[1:])
    # Keras holds the kept axes alone, in their order.
    axes_turned = tuple(kept.index(axis) for axis in order if axis in kept)
    if site.config.get("mean") is not None:
        values = {
            key: _constant(site, key, tuple(sizes[axis] for axis in kept), axes_turned, shape)
            for key in ("mean", "variance")
        }
        keywords = {**values, **({"invert": True} if site.config.get("invert") else {})}
        return Piece((Step(Make("FixedNormalization", {}, keywords)),), orders=(order,), order=order)

    def place(attribute: str) -> Carry:
        return Carry(attribute, axes_turned, lambda array: array.reshape(shape))

    make = Make(
        "Normalization",
        {f"size{number}": size for number, size in enumerate(shape)},
        {"invert": True} if site.config.get("invert") else {},
    )
    weights = {"mean": place("mean"), "variance": place("variance"), "count": Carry("")}
    return Piece((Step(make),), orders=(order,), order=order, weights=weights)


def _constant(
    site: Site, key: str, sizes: tuple[int, ...], axes: tuple[int, ...], shape: tuple[int, ...]
) -> Any:
    stated = site.config.get(key)
    if isinstance(stated, dict):
        stated = stated.get("value", (stated.get("config") or {}).get("value"))
    try:
        array = np.asarray(stated, dtype=np.float64)
        # Keras reshapes to the input's shape with the axes that are not kept of size 1.
        array = array.reshape(sizes) if array.size == math.prod(sizes) else np.broadcast_to(array, sizes)
    except (TypeError, ValueError) as error:
        raise Refused(f"{key}={shown(stated)} does not fit its input") from error
    return array.transpose(axes).reshape(shape).tolist()


RULES: dict[str, Callable[[Site], Piece]] = {"Rescaling": rescaling, "Normalization": normalization}
