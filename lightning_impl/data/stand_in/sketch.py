"""Primitives an object is built of: filled parts in object coordinates, listed from back to front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]

# Tones: what a part is painted with. The colours behind them are drawn for each image, independently of the
# class (see palette.py), so a tone only says which parts share a colour.
BODY, SECOND, DETAIL, ACCENT, GLASS = range(5)
TONE_COUNT = 5

TAU = 2 * math.pi
CURVE_STEPS = 6


@dataclass(frozen=True)
class Part:
    """One filled part.

    Args:
        contours: Closed contours of `(points, 2)`; a contour inside another is a hole (even-odd rule).
        tone: One of the tones above.
    """

    contours: tuple[np.ndarray, ...]
    tone: int


class Sketch:
    """Collects the parts of one object. x grows rightwards, y downwards, in units of about half its height.

    Args:
        random: The image's own random stream; whatever an object varies is drawn from it.
    """

    def __init__(self, random: np.random.RandomState) -> None:
        self.random = random
        self.parts: list[Part] = []

    # Draws ------------------------------------------------------------------------------------------------

    def vary(self, low: float, high: float) -> float:
        """A number drawn evenly from `[low, high)`."""
        return low + (high - low) * self.random.random_sample()

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.random.random_sample() < probability)

    def count(self, low: int, high: int) -> int:
        """A whole number drawn evenly from low to high, both included."""
        return int(self.random.randint(low, high + 1))

    def pick(self, *choices):
        """One of the choices, all alike probable."""
        return choices[self.random.randint(len(choices))]

    # Parts ------------------------------------------------------------------------------------------------

    def polygon(self, points: Sequence[Point], tone: int = BODY) -> None:
        """A polygon with straight edges."""
        self.parts.append(Part((np.asarray(points, np.float64),), tone))

    def mirrored(self, points: Sequence[Point], tone: int = BODY) -> None:
        """A polygon and its mirror image about x = 0."""
        self.polygon(points, tone)
        self.polygon([(-x, y) for x, y in points], tone)

    def symmetric(self, points: Sequence[Point], tone: int = BODY, smooth: bool = False) -> None:
        """One outline: the points (top to bottom on the right-hand side), closed by their mirror image."""
        outline = [*points, *[(-x, y) for x, y in reversed(points)]]
        if smooth:
            self.blob(outline, tone)
        else:
            self.polygon(outline, tone)

    def blob(self, points: Sequence[Point], tone: int = BODY) -> None:
        """A smooth closed outline through the points."""
        self.parts.append(Part((closed_curve(points),), tone))

    def box(
        self, x: float, y: float, width: float, height: float, tone: int = BODY, turn: float = 0.0
    ) -> None:
        """A rectangle about its centre, turned by `turn` radians."""
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)
        self.parts.append(Part((turned(corners, turn) + np.array((x, y)),), tone))

    def ellipse(self, x: float, y: float, rx: float, ry: float, tone: int = BODY, turn: float = 0.0) -> None:
        """An ellipse about its centre, turned by `turn` radians."""
        self.parts.append(Part((arc_points(x, y, rx, ry, 0, TAU, turn)[:-1],), tone))

    def disc(self, x: float, y: float, radius: float, tone: int = BODY) -> None:
        """A filled circle."""
        self.ellipse(x, y, radius, radius, tone)

    def ring(self, x: float, y: float, rx: float, ry: float, width: float, tone: int = BODY) -> None:
        """An elliptical ring; `rx`, `ry` reach its outer edge, `width` is the band's."""
        outer = arc_points(x, y, rx, ry, 0, TAU)[:-1]
        inner = arc_points(x, y, rx - width, ry - width, 0, TAU)[:-1]
        self.parts.append(Part((outer, inner), tone))

    def sector(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, tone: int = BODY
    ) -> None:
        """The part of an ellipse cut off by the chord from angle `start` to angle `end` (radians)."""
        self.parts.append(Part((arc_points(x, y, rx, ry, start, end),), tone))

    def framed(self, outline: np.ndarray, hole: np.ndarray, tone: int = BODY) -> None:
        """An outline with a hole in it."""
        self.parts.append(Part((outline, hole), tone))

    def stroke(
        self,
        points: Sequence[Point],
        width: float,
        tone: int = BODY,
        end_width: float | None = None,
        smooth=False,
    ) -> None:
        """A line of the given width, tapering to `end_width`; `smooth` curves it through the points."""
        path = open_curve(points) if smooth else np.asarray(points, np.float64)
        end_width = width if end_width is None else end_width
        self.parts.append(Part((stroke_outline(path, width, end_width),), tone))

    def arc(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        start: float,
        end: float,
        width: float,
        tone: int = BODY,
    ) -> None:
        """A curved band along an ellipse from angle `start` to angle `end` (radians)."""
        self.parts.append(Part((stroke_outline(arc_points(x, y, rx, ry, start, end), width, width),), tone))


def arc_points(
    x: float, y: float, rx: float, ry: float, start: float, end: float, turn: float = 0.0
) -> np.ndarray:
    """Points `(points, 2)` along an ellipse, 24 for a full turn."""
    steps = max(5, round(24 * abs(end - start) / TAU) + 1)
    angles = np.linspace(start, end, steps)
    return turned(np.stack((rx * np.cos(angles), ry * np.sin(angles)), 1), turn) + np.array((x, y))


def turned(points: np.ndarray, radians: float) -> np.ndarray:
    """The points turned about the origin."""
    if not radians:
        return points
    cosine, sine = math.cos(radians), math.sin(radians)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def _curve_segments(points: np.ndarray) -> np.ndarray:
    # Catmull-Rom: each segment between points 1 and 2 of a window of four.
    before, first, second, after = points[:-3], points[1:-2], points[2:-1], points[3:]
    t = (np.arange(CURVE_STEPS) / CURVE_STEPS)[:, None, None]
    curve = 0.5 * (
        2 * first
        + (second - before) * t
        + (2 * before - 5 * first + 4 * second - after) * t**2
        + (3 * (first - second) + after - before) * t**3
    )
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def closed_curve(points: Sequence[Point]) -> np.ndarray:
    """A closed smooth curve through the points, `(points, 2)`."""
    knots = np.asarray(points, np.float64)
    return _curve_segments(np.concatenate((knots[-1:], knots, knots[:2])))


def open_curve(points: Sequence[Point]) -> np.ndarray:
    """A smooth curve from the first point to the last, `(points, 2)`."""
    knots = np.asarray(points, np.float64)
    return np.concatenate((_curve_segments(np.concatenate((knots[:1], knots, knots[-1:]))), knots[-1:]))


def stroke_outline(path: np.ndarray, width: float, end_width: float) -> np.ndarray:
    """The outline of a line along `path` whose width goes evenly from `width` to `end_width`."""
    # Central differences make a mitre of each bend; they are clipped at the ends by repeating the end points.
    tangent = np.concatenate((path[1:2] - path[:1], path[2:] - path[:-2], path[-1:] - path[-2:-1]))
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    half = np.linspace(width / 2, end_width / 2, len(path))[:, None]
    normal = np.stack((-tangent[:, 1], tangent[:, 0]), 1) * half
    return np.concatenate((path + normal, (path - normal)[::-1]))
