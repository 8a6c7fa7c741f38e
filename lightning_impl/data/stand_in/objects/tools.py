"""Anchor, hammer, key, ladder, scissors."""

from __future__ import annotations

import math

from lightning_impl.data.stand_in.sketch import ACCENT, BODY, DETAIL, SECOND, TAU, Sketch


def anchor(s: Sketch) -> None:
    """A shank with a ring and a crossbar, and two curved arms ending in flukes."""
    width, reach, ring = s.vary(0.1, 0.17), s.vary(0.5, 0.75), s.vary(0.14, 0.21)
    bar, sweep = s.vary(0.28, 0.48), s.vary(0.45, 0.7)
    s.ring(0, -0.85, ring, ring, s.vary(0.05, 0.09), SECOND)
    s.arc(0, 0.85 - sweep, reach, sweep, 0.12, math.pi - 0.12, width * 1.1, BODY)
    s.stroke([(0, -0.68), (0, 0.85)], width, BODY, width * 1.3)
    s.box(0, -0.5, bar * 2, width * 0.85, SECOND)
    for side in (-1, 1):
        s.disc(side * bar, -0.5, width * 0.6, SECOND)
        x, y, fluke = side * reach, 0.9 - sweep, s.vary(0.17, 0.25)
        s.polygon(
            [
                (x + side * fluke * 0.35, y - fluke * 1.5),
                (x + side * fluke * 0.9, y + fluke * 0.6),
                (x - side * fluke * 1.3, y + fluke * 0.2),
            ],
            BODY,
        )
    if s.chance(0.3):
        rope = [(0.05, -0.85), (0.3, -0.45), (-0.25, -0.1), (0.25, 0.25), (-0.1, 0.6)]
        s.stroke(rope, 0.07, ACCENT, smooth=True)


def hammer(s: Sketch) -> None:
    """A handle with a claw hammer's, sledge's or ball hammer's head."""
    grip, head, kind = s.vary(0.1, 0.16), s.vary(0.2, 0.3), s.count(0, 2)
    s.stroke([(0, -0.7), (0, 0.0), (0, 1.0)], grip * 0.9, SECOND, grip * 1.25)
    if s.chance(0.6):
        s.stroke([(0, 0.45), (0, 1.02)], grip * 1.3, ACCENT, grip * 1.5)
    if kind == 0:
        s.stroke(
            [(0.1, -0.72), (0.35, -0.74), (0.55, -0.62), (0.68, s.vary(-0.5, -0.35))],
            head * 0.85,
            BODY,
            0.06,
            smooth=True,
        )
        s.box(-0.2, -0.72, 0.35, head * 0.8, BODY)
        s.box(-0.43, -0.72, 0.16, head * 1.15, DETAIL)
    elif kind == 1:
        reach = s.vary(0.42, 0.55)
        s.box(0, -0.72, reach * 2, head * 1.35, BODY)
        for side in (-1, 1):
            s.box(side * reach, -0.72, 0.1, head * 1.5, DETAIL)
    else:
        s.box(-0.08, -0.72, 0.6, head * 0.75, BODY)
        s.disc(0.4, -0.72, head * 0.55, BODY)
        s.box(-0.42, -0.72, 0.2, head * 1.2, DETAIL)
    s.box(0, -0.72, grip * 1.6, head * 0.95, DETAIL)


def key(s: Sketch) -> None:
    """A bow with a hole, a shaft, and a bit with teeth."""
    bow, shaft = s.vary(0.28, 0.4), s.vary(0.09, 0.14)
    end, kind = s.vary(0.75, 1.0), s.count(0, 2)
    s.stroke([(0, -0.5), (0, end)], shaft, BODY)
    if kind == 0:
        s.ring(0, -0.62, bow, bow * s.vary(0.8, 1.1), s.vary(0.1, 0.15), BODY)
    elif kind == 1:
        for turn in range(3):
            angle = turn * TAU / 3 + TAU / 12 + math.pi / 3
            s.ring(
                bow * 0.55 * math.cos(angle),
                -0.65 + bow * 0.55 * math.sin(angle),
                bow * 0.55,
                bow * 0.55,
                0.09,
                BODY,
            )
    else:
        outline = [
            (x * bow * 1.15, -0.62 + y * bow)
            for x, y in (
                (-1, -0.5),
                (-0.5, -1),
                (0.5, -1),
                (1, -0.5),
                (1, 0.5),
                (0.4, 1),
                (-0.4, 1),
                (-1, 0.5),
            )
        ]
        s.polygon(outline, SECOND)
        s.disc(0, -0.62 - bow * 0.4, bow * 0.3, DETAIL)
    s.box(0, -0.62 + bow + 0.06, shaft * 2.0, 0.08, SECOND)
    for tooth in range(s.count(2, 4)):
        length = s.vary(0.18, 0.36)
        s.box(shaft / 2 + length / 2 - 0.02, end - 0.08 - tooth * 0.15, length, 0.1, BODY)


def ladder(s: Sketch) -> None:
    """Two rails and rungs, straight or narrowing; at times a stepladder with a second leg."""
    bottom, rungs, rail = s.vary(0.28, 0.42), s.count(5, 8), s.vary(0.07, 0.11)
    top = bottom * s.vary(0.55, 1.0)
    if s.chance(0.4):
        spread = s.vary(0.45, 0.75)
        for side in (-1, 1):
            s.stroke(
                [(side * top * 0.8 + 0.1, -0.9), (side * bottom * 0.9 + spread, 0.85)], rail * 0.8, SECOND
            )
        s.stroke(
            [(0.1 + spread * 0.6 - bottom * 0.6, 0.3), (0.1 + spread * 0.6 + bottom * 0.5, 0.3)],
            rail * 0.6,
            SECOND,
        )
    for rung in range(rungs):
        t = (rung + 0.6) / (rungs + 0.2)
        half = top + (bottom - top) * t
        s.box(0, -1.0 + 2.0 * t, half * 2, rail * 0.85, ACCENT)
    for side in (-1, 1):
        s.stroke([(side * top, -1.0), (side * bottom, 1.0)], rail, BODY)


def scissors(s: Sketch) -> None:
    """Two crossing blades with finger rings, more or less open."""
    opening, ring, blade = s.vary(0.12, 0.45), s.vary(0.2, 0.3), s.vary(0.12, 0.2)
    length, stretch = s.vary(0.85, 1.05), s.vary(1.0, 1.4)
    for side in (-1, 1):
        dx, dy = math.sin(opening) * side, -math.cos(opening)
        nx, ny = -dy, dx
        tip = (dx * length, dy * length)
        s.polygon(
            [
                tip,
                (nx * blade * 0.5 * side, ny * blade * 0.5 * side),
                (-dx * 0.15 + nx * blade * 0.3 * side, -dy * 0.15),
                (-dx * 0.15 - nx * blade * 0.5 * side, -dy * 0.15),
                (-nx * blade * 0.5 * side, -ny * blade * 0.5 * side),
            ],
            BODY if side < 0 else SECOND,
        )
        foot = (-dx * 0.5 - side * 0.06, -dy * 0.42)
        s.stroke([(0, 0), (-dx * 0.3, -dy * 0.25), foot], blade * 0.9, ACCENT)
        s.ring(
            foot[0] - side * ring * 0.35,
            foot[1] + ring * stretch * 0.7,
            ring,
            ring * stretch,
            s.vary(0.07, 0.11),
            ACCENT,
        )
    s.disc(0, 0, 0.055, DETAIL)
