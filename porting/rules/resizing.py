"""Layers that change the size of images: Resizing, CenterCrop, RandomCrop, UpSampling.

Source: keras 3.15 layers/preprocessing/image_preprocessing, layers/reshaping/up_sampling*.py and
backend/tensorflow/image.py; tf_keras 2.21 layers/preprocessing/image_preprocessing.py and
utils/image_utils.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lightning_impl.keras_semantics.profile import KERAS3
from porting.keras_file.problems import shown
from porting.rules.padding import crop_step
from porting.rules.piece import Make, Piece, Refused, Site, Step, known, per_axis, short

# Keras's interpolation: F.interpolate's.
_MODES = {"nearest": "nearest-exact", "bilinear": "bilinear", "bicubic": "bicubic"}


def resizing(site: Site) -> Piece:
    """Resizing, by stretching, or by cutting or padding to the new proportions first."""
    order = site.image_order()
    height, width = _size(site)
    before: tuple[Step, ...] = ()
    old = tuple(site.input.shape[axis] for axis in order[2:])
    if site.config.get("crop_to_aspect_ratio"):
        before = _crop_to_proportions(old, (height, width))
    elif site.config.get("pad_to_aspect_ratio"):
        before = _pad_to_proportions(site, old, (height, width))
    antialias = bool(site.config.get("antialias"))
    resize = _resize(site.config.get("interpolation", "bilinear"), (height, width), old, antialias)
    return Piece((*before, resize), orders=(order,), order=order)


def _size(site: Site) -> tuple[int, int]:
    size = (site.stated("height"), site.stated("width"))
    if site.rank != 4:
        raise Refused(f"its input has {site.rank} axes, which is no batch of images")
    if not all(type(side) in (int, float) and side == int(side) > 0 for side in size):
        raise Refused(f"the size {shown(list(size))} is not two whole numbers")
    return int(size[0]), int(size[1])


def _resize(interpolation: Any, size: tuple[int, int], old: tuple[int | None, ...], antialias: bool) -> Step:
    name = str(interpolation).lower()
    if name not in _MODES:
        raise Refused(f"interpolation={shown(interpolation)} has no rule")
    keywords: dict[str, Any] = {} if name == "bilinear" else {"mode": _MODES[name]}
    if name == "bicubic" and not antialias:
        # torch's own has another constant than TensorFlow's, except where it antialiases, which changes
        # nothing in an image that grows. TensorFlow's weights are of a table of 1,024 places: right at
        # powers of two.
        factors = {None if side is None else new / side for side, new in zip(old, size, strict=True)}
        if not factors <= {1, 2, 4, 8, 16}:
            raise Refused('interpolation="bicubic" has a rule only where the image grows by 2, 4, 8 or 16')
        antialias = True
    if antialias and name != "nearest":
        keywords["antialias"] = True
    mode = f', mode="{_MODES[name]}"'
    more = ", antialias=True" if keywords.get("antialias") else ""
    return Step(Make("Resize", {"size": size}, keywords), f"F.interpolate({{}}, {size!r}{mode}{more})")


def _crop_to_proportions(old: tuple[int | None, ...], new: tuple[int, int]) -> tuple[Step, ...]:
    """The largest window in the middle with the new proportions; none where it is the whole image."""
    height, width = (known(side, "the size of its images") for side in old)
    kept = (
        max(min(height, int(np.float32(width * new[0]) / np.float32(new[1]))), 1),
        max(min(width, int(np.float32(height * new[1]) / np.float32(new[0]))), 1),
    )
    return _crop((height, width), kept)


def _crop(old: tuple[int, int], kept: tuple[int, int]) -> tuple[Step, ...]:
    starts = [(side - part) // 2 for side, part in zip(old, kept, strict=True)]
    edges = tuple((start, side - part - start) for side, part, start in zip(old, kept, starts, strict=True))
    return (crop_step(edges, "_crop"),) if any(map(any, edges)) else ()


def _pad_to_proportions(site: Site, old: tuple[int | None, ...], new: tuple[int, int]) -> tuple[Step, ...]:
    height, width = (known(side, "the size of its images") for side in old)
    wide = (
        max(height, int(np.float32(width * new[0]) / np.float32(new[1]))),
        max(width, int(np.float32(height * new[1]) / np.float32(new[0]))),
    )
    # keras 3.15 backend/tensorflow/image.py pads both edges alike: an odd pixel is lost.
    rows, columns = (wide[0] - height) // 2, (wide[1] - width) // 2
    if not rows and not columns:
        return ()
    value, edges = float(site.config.get("fill_value") or 0.0), (columns, columns, rows, rows)
    make = Make("nn.ConstantPad2d", {"padding": edges}, {"value": value})
    return (Step(make, f"F.pad({{}}, {edges!r}{f', value={value!r}' if value else ''})", "_pad"),)


def center_crop(site: Site) -> Piece:
    """CenterCrop: images that are too small are cut to the new proportions and resized."""
    order, new = site.image_order(), _size(site)
    height, width = (known(site.input.shape[axis], "the size of its images") for axis in order[2:])
    if height >= new[0] and width >= new[1]:
        return Piece(_crop((height, width), new), orders=(order,), order=order)
    return Piece(_fitted((height, width), new), orders=(order,), order=order)


def _fitted(old: tuple[int, int], new: tuple[int, int]) -> tuple[Step, ...]:
    """tf_keras's smart_resize."""
    return (*_crop_to_proportions(old, new), _resize("bilinear", new, old, False))


def random_crop(site: Site) -> Piece:
    """RandomCrop: in inference the middle, cut to the new proportions and resized."""
    order, new = site.image_order(), _size(site)
    old = tuple(known(site.input.shape[axis], "the size of its images") for axis in order[2:])
    if site.profile is KERAS3 and old != new:
        raise Refused("in inference Keras 3 leaves its images as they are and says that they are smaller")
    note = "cuts a random part in training, which is not carried over: it does what it does in inference"
    return Piece(_fitted((old[0], old[1]), new), orders=(order,), order=order, notes=(note,))


def upsampling(site: Site) -> Piece:
    """UpSampling1D, 2D and 3D."""
    axes, order = site.rank - 2, site.image_order()
    factors = per_axis(site.config.get("size", 2), axes, "size")
    name = str(site.config.get("interpolation", "nearest")).lower()
    if name == "bicubic":
        old = tuple(known(site.input.shape[axis], "the size of its images") for axis in order[2:])
        new = (old[0] * factors[0], old[1] * factors[1])
        return Piece((_resize(name, new, old, False),), orders=(order,), order=order)
    if name not in ("nearest", "bilinear"):
        raise Refused(f"interpolation={shown(name)} has no rule")
    keywords: dict[str, Any] = {"scale_factor": short(factors)}
    keywords |= {} if name == "nearest" else {"mode": name}
    said = f"scale_factor={short(factors)!r}" + ("" if name == "nearest" else f', mode="{name}"')
    step = Step(Make("nn.Upsample", {}, keywords), f"F.interpolate({{}}, {said})")
    return Piece((step,), orders=(order,), order=order)


RULES: dict[str, Callable[[Site], Piece]] = {
    "Resizing": resizing,
    "CenterCrop": center_crop,
    "RandomCrop": random_crop,
    **{f"UpSampling{axes}D": upsampling for axes in (1, 2, 3)},
}
