"""Chair, cup, lamp, teapot, wineglass."""

from __future__ import annotations

import math

from lightning_impl.data.stand_in.sketch import ACCENT, BODY, DETAIL, GLASS, SECOND, TAU, Sketch


def chair(s: Sketch) -> None:
    """A seat on four legs with a back of slats, bars or one panel, seen a little from the side."""
    width, skew, back = s.vary(0.36, 0.5), s.vary(0.1, 0.26), s.vary(0.85, 1.05)
    leg, seat = s.vary(0.07, 0.12), s.vary(0.05, 0.2)
    left, right = -width, width
    for x in (left + skew, right + skew):
        s.stroke([(x * 0.95, seat - 0.15), (x, 0.78)], leg, SECOND)
    posts = ((left + skew, -back), (right + skew, -back))
    kind = s.count(0, 2)
    if kind == 0:
        s.polygon([posts[0], posts[1], (right + skew, -0.2), (left + skew, -0.2)], ACCENT)
    elif kind == 1:
        for slat in range(s.count(2, 3)):
            y = -back + 0.12 + slat * 0.26
            s.stroke([(left + skew, y), (right + skew, y)], 0.11, ACCENT)
    else:
        bars = s.count(3, 5)
        for bar in range(bars):
            x = left + skew + (bar + 0.5) * (right - left) / bars
            s.stroke([(x, -back + 0.05), (x, seat - 0.1)], 0.06, ACCENT)
        s.stroke([(left + skew, -back + 0.06), (right + skew, -back + 0.06)], 0.14, BODY)
    for x, y in posts:
        s.stroke([(x, y), (x, seat)], leg, BODY)
    s.polygon(
        [
            (left + skew, seat - 0.16),
            (right + skew, seat - 0.16),
            (right - skew * 0.3, seat + 0.14),
            (left - skew * 0.3, seat + 0.14),
        ],
        SECOND,
    )
    s.stroke([(left - skew * 0.3, seat + 0.17), (right - skew * 0.3, seat + 0.17)], 0.09, DETAIL)
    for x in (left - skew * 0.2, right - skew * 0.4):
        s.stroke([(x, seat + 0.15), (x, 1.0)], leg * 1.1, BODY)


def cup(s: Sketch) -> None:
    """A cup or mug with one handle, an open rim, at times a saucer or steam."""
    top, bottom, height = s.vary(0.48, 0.64), s.vary(0.3, 0.58), s.vary(0.5, 0.85)
    bottom = min(bottom, top)
    rim, y = s.vary(0.09, 0.17), -height * 0.8
    if s.chance(0.4):
        s.ellipse(0, height * 0.8 - 0.02, s.vary(0.75, 0.95), 0.15, SECOND)
    s.arc(
        top * 0.85, -0.02, s.vary(0.26, 0.4), height * s.vary(0.4, 0.55), -1.6, 1.6, s.vary(0.09, 0.14), BODY
    )
    s.polygon(
        [
            (-top, y),
            (top, y),
            (bottom + (top - bottom) * 0.35, height * 0.35),
            (bottom, height * 0.8),
            (-bottom, height * 0.8),
            (-bottom - (top - bottom) * 0.35, height * 0.35),
        ],
        BODY,
    )
    s.sector(0, height * 0.8 - 0.01, bottom, rim * 0.7, 0, math.pi, BODY)
    for band in range(s.count(0, 2)):
        half = top - (top - bottom) * (0.35 + 0.18 * band)
        s.box(0, -height * 0.25 + band * 0.26, half * 1.94, 0.09, ACCENT)
    s.ellipse(0, y, top, rim, SECOND)
    s.ellipse(0, y + 0.015, top * 0.87, rim * 0.72, DETAIL)
    if s.chance(0.3):
        for x in (-0.2, 0.12):
            s.stroke(
                [(x, y - 0.1), (x + 0.09, y - 0.25), (x - 0.05, y - 0.4), (x + 0.05, y - 0.55)],
                0.05,
                GLASS,
                smooth=True,
            )


def lamp(s: Sketch) -> None:
    """A table or floor lamp with a shade, or a jointed desk lamp."""
    if s.chance(0.55):
        top, bottom, tall = s.vary(0.2, 0.36), s.vary(0.48, 0.68), s.vary(0.5, 0.7)
        foot = s.vary(0.3, 0.45)
        if s.chance(0.5):
            s.stroke([(0, -0.4), (0, 0.95)], s.vary(0.06, 0.1), SECOND)
        else:
            s.symmetric(
                [(0.04, -0.4), (0.1, -0.1), (s.vary(0.18, 0.3), 0.35), (0.15, 0.75), (0.1, 0.95)],
                SECOND,
                smooth=True,
            )
        s.sector(0, 1.0, foot, 0.16, math.pi, TAU, DETAIL)
        s.polygon([(-top, -1.0), (top, -1.0), (bottom, -1.0 + tall), (-bottom, -1.0 + tall)], BODY)
        s.stroke([(-bottom, -1.0 + tall), (bottom, -1.0 + tall)], 0.07, ACCENT)
        if s.chance(0.5):
            s.stroke([(bottom * 0.5, -1.0 + tall), (bottom * 0.5, -0.72 + tall)], 0.03, DETAIL)
            s.disc(bottom * 0.5, -0.7 + tall, 0.05, ACCENT)
        return
    elbow = (s.vary(0.25, 0.5), s.vary(-0.2, 0.15))
    head = (s.vary(-0.3, 0.0), s.vary(-0.85, -0.65))
    arm = s.vary(0.07, 0.1)
    s.sector(-0.05, 0.98, s.vary(0.4, 0.52), 0.2, math.pi, TAU, SECOND)
    s.stroke([(-0.1, 0.85), elbow], arm, BODY)
    s.stroke([elbow, head], arm, BODY)
    s.disc(*elbow, 0.09, DETAIL)
    turn = s.vary(0.35, 0.9)
    dx, dy = -math.sin(turn), math.cos(turn)
    nx, ny = dy, -dx
    mouth = s.vary(0.32, 0.42)
    end = (head[0] + dx * 0.45, head[1] + dy * 0.45)
    s.disc(end[0], end[1], 0.15, GLASS)
    s.polygon(
        [
            (head[0] + nx * 0.13 - dx * 0.1, head[1] + ny * 0.13 - dy * 0.1),
            (end[0] + nx * mouth, end[1] + ny * mouth),
            (end[0] - nx * mouth, end[1] - ny * mouth),
            (head[0] - nx * 0.13 - dx * 0.1, head[1] - ny * 0.13 - dy * 0.1),
        ],
        ACCENT,
    )
    s.disc(head[0], head[1], 0.12, DETAIL)


def teapot(s: Sketch) -> None:
    """A round pot with spout, handle, lid and knob."""
    rx, ry, spout = s.vary(0.5, 0.64), s.vary(0.42, 0.6), s.vary(0.3, 0.45)
    s.stroke(
        [
            (-rx * 0.7, 0.2),
            (-rx - spout * 0.5, 0.05),
            (-rx - spout * 0.75, -0.3),
            (-rx - spout, s.vary(-0.5, -0.38)),
        ],
        0.3,
        SECOND,
        0.1,
        smooth=True,
    )
    if s.chance(0.75):
        s.arc(
            rx * 0.92,
            -0.02,
            s.vary(0.3, 0.42),
            ry * s.vary(0.6, 0.85),
            -1.75,
            1.75,
            s.vary(0.08, 0.13),
            SECOND,
        )
    else:
        s.arc(0, -ry * 0.6, rx * 0.85, s.vary(0.6, 0.8), math.pi + 0.1, TAU - 0.1, 0.09, SECOND)
    s.box(0, ry + 0.02, rx * 1.1, 0.12, DETAIL)
    s.ellipse(0, 0.05, rx, ry, BODY)
    s.sector(0, -ry * 0.72, rx * 0.55, s.vary(0.15, 0.3), math.pi, TAU, ACCENT)
    s.stroke([(-rx * 0.6, -ry * 0.7), (rx * 0.6, -ry * 0.7)], 0.06, DETAIL)
    s.disc(0, -ry * 0.72 - s.vary(0.22, 0.3), s.vary(0.07, 0.11), DETAIL)
    if s.chance(0.5):
        s.arc(0, 0.05, rx * 0.9, ry * 0.25, 0.15, math.pi - 0.15, 0.08, ACCENT)


def wineglass(s: Sketch) -> None:
    """A bowl on a thin stem and a flat foot: wine glass, flute or cocktail glass."""
    kind, foot, stem = s.count(0, 2), s.vary(0.28, 0.42), s.vary(0.05, 0.085)
    rim = s.vary(0.06, 0.11)
    level = s.vary(0.25, 0.7)
    if kind == 0:
        top, waist, low = s.vary(0.28, 0.4), s.vary(0.4, 0.52), s.vary(0.0, 0.15)
        right = [(top, -0.95), (waist, -0.5), (waist * 0.8, -0.15), (stem, low)]
    elif kind == 1:
        top, waist, low = s.vary(0.2, 0.27), s.vary(0.22, 0.3), s.vary(0.15, 0.3)
        right = [(top, -0.95), (waist, -0.5), (waist * 0.75, -0.1), (stem, low)]
    else:
        top, low = s.vary(0.55, 0.7), s.vary(-0.25, -0.05)
        right = [
            (top, -0.9),
            (top * 0.68, -0.9 + (low + 0.9) * 0.32),
            (top * 0.35, -0.9 + (low + 0.9) * 0.65),
            (stem, low),
        ]
    s.stroke([(0, low - 0.05), (0, 0.92)], stem * 1.4, SECOND)
    s.ellipse(0, 0.93, foot, s.vary(0.05, 0.09), SECOND)
    s.polygon([*right, *[(-x, y) for x, y in reversed(right)]], GLASS)
    drop = 1 if level > 0.45 else 2
    wine = right[drop:]
    s.polygon([(x * 0.93, y) for x, y in wine] + [(-x * 0.93, y) for x, y in reversed(wine)], ACCENT)
    s.ring(0, right[0][1], right[0][0], rim, 0.03, BODY)
    for side in (-1, 1):
        s.stroke([(side * x, y) for x, y in right], 0.05, BODY)
