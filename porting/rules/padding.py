"""ZeroPadding and Cropping.

Source: keras 3.15 layers/reshaping/zero_padding2d.py and cropping2d.py; the same in tf_keras 2.21.
"""

from __future__ import annotations

from typing import Any

from porting.keras_file.problems import shown
from porting.rules.piece import Make, Piece, Refused, Site, Step

Edges = tuple[tuple[int, int], ...]
"""Of each spatial axis, what is in front and what is behind."""


def zero_padding(site: Site) -> Piece:
    """ZeroPadding1D, ZeroPadding2D and ZeroPadding3D."""
    order = site.image_order()
    edges = _edges(site.stated("padding"), site.rank - 2, "padding")
    # torch begins with the last axis.
    numbers = tuple(number for edge in reversed(edges) for number in edge)
    make = Make(f"nn.ZeroPad{site.rank - 2}d", {"padding": numbers})
    step = Step(make, f"F.pad({{}}, {numbers!r})")
    return Piece((step,), orders=(order,), order=order)


def cropping(site: Site) -> Piece:
    """Cropping1D, Cropping2D and Cropping3D."""
    order = site.image_order()
    edges = _edges(site.stated("cropping"), site.rank - 2, "cropping")
    return Piece((crop_step(edges),), orders=(order,), order=order)


def crop_step(edges: Edges, suffix: str = "") -> Step:
    """Cuts `(N, C, ...)`."""
    make = Make("Crop", {f"edge{place}": edge for place, edge in enumerate(edges)})
    sides = ", ".join(f"{front or ''}:{-behind or ''}" for front, behind in edges)
    return Step(make, f"{{}}[:, :, {sides}]", suffix)


def _edges(stated: Any, axes: int, what: str) -> Edges:
    """One number for all, one for each axis, or two for each; of a single axis two numbers are its edges."""
    if axes == 1 and isinstance(stated, list) and len(stated) == 2:
        stated = [stated]
    sides = stated if isinstance(stated, list) else [stated] * axes
    edges = tuple(tuple(side) if isinstance(side, list) else (side, side) for side in sides)
    is_whole = all(len(edge) == 2 and all(type(size) is int and size >= 0 for size in edge) for edge in edges)
    if len(edges) != axes or not is_whole:
        raise Refused(f"{what}={shown(stated)} is not two whole numbers for each of {axes} axes")
    return edges  # type: ignore[return-value]


RULES = {
    **{f"ZeroPadding{axes}D": zero_padding for axes in (1, 2, 3)},
    **{f"Cropping{axes}D": cropping for axes in (1, 2, 3)},
}
