"""Painting parts into a picture, and clutter: assemblies of the primitives that are no object."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lightning_impl.data.stand_in.palette import Colour, random_colour
from lightning_impl.data.stand_in.sketch import TONE_COUNT, Part, Sketch, turned

# Fixed-point bits of a coordinate: anti-aliased edges at a sixteenth of a pixel.
SHIFT = 4


def fixed_point(contours: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """Contours in pixels as OpenCV's fixed-point ones."""
    return [np.rint(contour * (1 << SHIFT)).astype(np.int32) for contour in contours]


def fill(picture: np.ndarray, contours: tuple[np.ndarray, ...], colour) -> None:
    """Fills contours `(points, 2)` in pixels, anti-aliased; a contour inside another is a hole."""
    cv2.fillPoly(picture, fixed_point(contours), colour, cv2.LINE_AA, SHIFT)


def outline(picture: np.ndarray, contours: tuple[np.ndarray, ...], colour, thickness: int) -> None:
    """Draws the contours' edges."""
    cv2.polylines(picture, fixed_point(contours), True, colour, thickness, cv2.LINE_AA, SHIFT)


def junk(random: np.random.RandomState) -> list[Part]:
    """A few primitives thrown together, within about `[-1, 1]`: it has an object's edges but is none."""
    sketch = Sketch(random)
    for _ in range(sketch.count(1, 4)):
        kind, tone = sketch.count(0, 6), sketch.count(0, TONE_COUNT - 1)
        x, y, size = sketch.vary(-0.7, 0.7), sketch.vary(-0.7, 0.7), sketch.vary(0.2, 0.75)
        if kind == 0:
            sketch.box(x, y, size, size * sketch.vary(0.3, 2.0), tone, sketch.vary(0, 1.5))
        elif kind == 1:
            sketch.ellipse(x, y, size * 0.7, size * sketch.vary(0.2, 0.8), tone, sketch.vary(0, 1.5))
        elif kind == 2:
            sketch.ring(x, y, size * 0.7, size * sketch.vary(0.4, 0.7), size * sketch.vary(0.08, 0.22), tone)
        elif kind == 3:
            reach = [sketch.vary(0.3, 1.0) for _ in range(sketch.count(4, 8))]
            steps = [2 * math.pi * step / len(reach) for step in range(len(reach))]
            points = [
                (x + size * r * math.cos(a), y + size * r * math.sin(a))
                for r, a in zip(reach, steps, strict=True)
            ]
            sketch.blob(points, tone) if sketch.chance(0.6) else sketch.polygon(points, tone)
        else:
            points = [(sketch.vary(-1, 1), sketch.vary(-1, 1)) for _ in range(sketch.count(2, 4))]
            sketch.stroke(points, sketch.vary(0.05, 0.2), tone, sketch.vary(0.03, 0.2), smooth=kind > 4)
    return sketch.parts


def paint_junk(picture: np.ndarray, random: np.random.RandomState, x: float, y: float, scale: float) -> None:
    """Paints one piece of clutter about (x, y), `scale` pixels to the unit."""
    colours: list[Colour] = [random_colour(random) for _ in range(TONE_COUNT)]
    turn = random.uniform(0, 2 * math.pi)
    for part in junk(random):
        fill(
            picture,
            tuple(turned(contour, turn) * scale + (x, y) for contour in part.contours),
            colours[part.tone],
        )
