"""Butterfly, crab, fish, rabbit, snail, spider, turtle."""

from __future__ import annotations

import math

from lightning_impl.data.stand_in.sketch import ACCENT, BODY, DETAIL, GLASS, SECOND, TAU, Sketch


def butterfly(s: Sketch) -> None:
    """Two pairs of wings about a thin body, with antennae; the wings' reach, droop and spots vary."""
    reach, lift, droop = s.vary(0.75, 1.1), s.vary(0.5, 0.9), s.vary(0.55, 0.95)
    lower = reach * s.vary(0.55, 0.85)
    tailed, spots, pointed = s.chance(0.35), s.count(0, 2), s.vary(0.75, 1.0)
    for side in (-1, 1):
        fan = [
            (0.03, 0.1),
            (lower * 0.8, 0.05),
            (lower, droop * 0.45),
            (lower * 0.7, droop),
            (0.15, droop * 0.6),
        ]
        if tailed:
            fan.insert(4, (lower * 0.5, droop * 1.3))
        s.blob([(side * x, y) for x, y in fan], SECOND)
        wing = [
            (0.03, -0.15),
            (reach * 0.5, -lift * pointed),
            (reach, -lift),
            (reach * 0.95, -0.2),
            (0.4, 0.12),
            (0.03, 0.1),
        ]
        s.blob([(side * x, y) for x, y in wing], BODY)
        for spot in range(spots):
            s.disc(
                side * reach * (0.75 - 0.25 * spot), -lift * (0.62 - 0.2 * spot), 0.1 - 0.02 * spot, ACCENT
            )
        if s.chance(0.7):
            s.disc(side * lower * 0.62, droop * 0.5, 0.11, DETAIL)
        s.stroke(
            [(0, -0.3), (side * 0.12, -0.6), (side * s.vary(0.2, 0.35), -0.85)], 0.035, DETAIL, smooth=True
        )
    s.ellipse(0, 0.08, s.vary(0.055, 0.085), 0.45, DETAIL)
    s.disc(0, -0.36, 0.09, DETAIL)


def crab(s: Sketch) -> None:
    """A broad shell with four legs a side and two raised claws."""
    rx, ry = s.vary(0.5, 0.68), s.vary(0.32, 0.48)
    claw, arm, legs = s.vary(0.2, 0.3), s.vary(0.35, 0.6), s.vary(0.3, 0.5)
    for side in (-1, 1):
        for leg in range(4):
            y = -0.12 + leg * 0.15
            knee = (side * (rx + legs * 0.6), y - 0.02 + leg * 0.05)
            foot = (side * (rx + legs * (0.9 - 0.1 * leg)), y + 0.28 + leg * 0.06)
            s.stroke([(side * rx * 0.7, y), knee, foot], 0.1, SECOND, 0.03)
        elbow = (side * (rx + 0.2), -0.35)
        hand = (side * (rx * 0.75 + 0.12), -0.35 - arm)
        s.stroke([(side * rx * 0.75, -0.15), elbow, hand], 0.13, SECOND)
        big = claw * s.vary(0.8, 1.25)
        tip = hand[1] - big * 1.4
        x = hand[0]
        s.blob(
            [
                (x - big * 0.75, hand[1] - big * 0.3),
                (x - big * 0.5, tip),
                (x - big * 0.05, hand[1] - big * 0.25),
                (x + big * 0.45, tip + big * 0.1),
                (x + big * 0.75, hand[1] - big * 0.3),
                (x, hand[1] + big * 0.55),
            ],
            BODY,
        )
        s.stroke([(side * 0.18, -ry * 0.8), (side * 0.22, -ry - 0.2)], 0.055, SECOND)
        s.disc(side * 0.22, -ry - 0.22, 0.08, DETAIL)
    s.blob(
        [(-rx, -0.12), (-rx * 0.5, -ry), (rx * 0.5, -ry), (rx, -0.12), (rx * 0.6, ry), (-rx * 0.6, ry)], BODY
    )
    s.arc(0, 0.02, rx * 0.45, ry * 0.5, 0.15 * TAU / 2, 0.85 * TAU / 2, 0.06, DETAIL)


def fish(s: Sketch) -> None:
    """An oval body with tail, fins, gill and eye: long, high or round."""
    length, height = s.vary(0.7, 0.95), s.vary(0.28, 0.62)
    tail, fork = s.vary(0.28, 0.5), s.vary(0.02, 0.3)
    s.polygon(
        [
            (length * 0.8, 0),
            (length + tail, -height * s.vary(0.7, 1.1)),
            (length + tail - fork, 0),
            (length + tail, height * s.vary(0.7, 1.1)),
        ],
        SECOND,
    )
    fin = s.vary(0.18, 0.42)
    s.blob(
        [
            (-length * 0.35, -height * 0.75),
            (0, -height - fin),
            (length * 0.55, -height - fin * s.vary(0.1, 0.9)),
            (length * 0.55, -height * 0.4),
        ],
        SECOND,
    )
    s.polygon([(0, height * 0.8), (length * 0.35, height + fin), (length * 0.5, height * 0.6)], SECOND)
    s.blob(
        [
            (-length, s.vary(-0.05, 0.1)),
            (-length * 0.4, -height * 0.9),
            (length * 0.2, -height * 0.85),
            (length * 0.95, -0.09),
            (length * 0.95, 0.09),
            (length * 0.2, height * 0.85),
            (-length * 0.4, height * 0.9),
        ],
        BODY,
    )
    for band in range(s.count(0, 3)):
        x = -length * 0.1 + band * 0.27
        s.stroke([(x, -height * 0.75), (x + 0.07, 0), (x, height * 0.75)], 0.09, ACCENT, smooth=True)
    s.arc(-length * 0.62, 0, 0.18, height * 0.6, -1.1, 1.1, 0.05, DETAIL)
    s.polygon([(-length * 0.2, 0.05), (length * 0.2, height * 0.15), (length * 0.15, height * 0.5)], SECOND)
    s.disc(-length * 0.65, -height * 0.25, 0.1, GLASS)
    s.disc(-length * 0.66, -height * 0.25, 0.055, DETAIL)


def rabbit(s: Sketch) -> None:
    """Two long ears: a head seen from the front, or a sitting animal from the side."""
    ear, width, lean = s.vary(0.55, 0.9), s.vary(0.11, 0.17), s.vary(0.02, 0.4)
    if s.chance(0.45):
        for side in (-1, 1):
            turn = side * lean * s.vary(0.5, 1.2)
            x, y = side * 0.2 + math.sin(turn) * ear * 0.5, -0.4 - math.cos(turn) * ear * 0.5
            s.ellipse(x, y, width, ear * 0.62, BODY, turn)
            s.ellipse(x, y, width * 0.5, ear * 0.45, ACCENT, turn)
        s.ellipse(0, 0.02, s.vary(0.45, 0.55), s.vary(0.45, 0.55), BODY)
        for side in (-1, 1):
            s.ellipse(side * 0.17, 0.22, 0.19, 0.15, SECOND)
            s.ellipse(side * 0.2, -0.1, 0.07, 0.1, DETAIL)
        s.polygon([(-0.09, 0.1), (0.09, 0.1), (0, 0.2)], DETAIL)
        s.box(0, 0.36, 0.13, 0.14, GLASS)
        return
    rump = s.vary(0.42, 0.55)
    s.disc(0.72, 0.5, s.vary(0.13, 0.2), SECOND)
    for back in (1, 0):
        turn = lean * (1 if back else 0.2) + 0.1
        x, y = -0.42 + back * 0.1 + math.sin(turn) * ear * 0.5, -0.55 - math.cos(turn) * ear * 0.5
        s.ellipse(x, y, width * 0.9, ear * 0.6, SECOND if back else BODY, turn)
    s.stroke([(-0.25, 0.2), (-0.35, 0.85)], 0.2, SECOND, 0.14)
    s.blob([(-0.45, -0.2), (0.1, -rump * 0.5), (0.65, 0.15), (0.7, 0.75), (0.1, 0.85), (-0.35, 0.6)], BODY)
    s.ellipse(0.32, 0.55, 0.34, 0.3, SECOND)
    s.ellipse(0.18, 0.83, 0.36, 0.1, BODY)
    s.ellipse(-0.52, -0.35, 0.33, 0.27, BODY, 0.25)
    s.disc(-0.6, -0.42, 0.06, DETAIL)
    s.disc(-0.82, -0.32, 0.05, ACCENT)


def snail(s: Sketch) -> None:
    """A spiral shell on a long foot with two feelers."""
    radius, turns, stretch = s.vary(0.48, 0.66), s.vary(1.8, 2.8), s.vary(0.75, 1.0)
    x, y = s.vary(0.05, 0.2), 0.62 - radius * stretch
    neck = s.vary(0.05, 0.55)
    s.stroke(
        [(1.05, 0.75), (0.3, 0.68), (-0.5, 0.66), (-0.8, 0.6 - neck * 0.5), (-0.86, 0.4 - neck)],
        0.2,
        SECOND,
        0.26,
        smooth=True,
    )
    s.disc(-0.86, 0.4 - neck, 0.17, SECOND)
    for offset in (-0.2, 0.06):
        tip = (-0.86 + offset, s.vary(-0.12, 0.0) - neck)
        s.stroke([(-0.88, 0.35 - neck), tip], 0.05, SECOND)
        s.disc(*tip, 0.055, DETAIL)
    s.ellipse(x, y, radius, radius * stretch, BODY)
    spiral = []
    steps = int(turns * 9)
    for step in range(steps + 1):
        angle = 0.7 + step / steps * turns * TAU
        reach = radius * (0.98 - 0.93 * step / steps)
        spiral.append((x + reach * math.cos(angle), y + reach * stretch * math.sin(angle)))
    s.stroke(spiral, s.vary(0.07, 0.11), DETAIL, 0.05, smooth=True)


def spider(s: Sketch) -> None:
    """Eight bent legs about two round bodies, seen from above, at times hanging from a thread."""
    reach, rise, belly = s.vary(0.75, 1.05), s.vary(0.15, 0.4), s.vary(0.24, 0.38)
    thick = s.vary(0.05, 0.085)
    if s.chance(0.3):
        s.stroke([(0, -1.25), (0, 0)], 0.025, ACCENT)
    for side in (-1, 1):
        for leg in range(4):
            angle = -1.0 + leg * 0.62 + s.vary(-0.12, 0.12)
            knee = (
                side * reach * 0.55 * math.cos(angle),
                reach * 0.6 * math.sin(angle) - rise * (1 if leg < 2 else 0.4),
            )
            foot = (
                side * reach * (0.75 + 0.25 * math.cos(angle)),
                reach * 1.0 * math.sin(angle * 1.05) + 0.05,
            )
            s.stroke([(0, -0.15 + leg * 0.06), knee, foot], thick, SECOND, thick * 0.4)
    s.ellipse(0, 0.28, belly, belly * s.vary(1.0, 1.35), BODY)
    s.disc(0, -0.15, belly * s.vary(0.55, 0.75), BODY)
    if s.chance(0.6):
        s.polygon([(-0.08, 0.12), (0.08, 0.12), (-0.08, 0.42), (0.08, 0.42)], ACCENT)
    for side in (-1, 1):
        s.disc(side * 0.07, -0.25, 0.04, DETAIL)


def turtle(s: Sketch) -> None:
    """A domed, tiled shell from the side, or from above with four flippers."""
    if s.chance(0.5):
        rx, dome = s.vary(0.68, 0.82), s.vary(0.5, 0.85)
        lift = s.vary(0.0, 0.3)
        s.polygon([(rx * 0.9, 0.2), (rx + 0.25, 0.38), (rx * 0.8, 0.36)], SECOND)
        s.stroke([(-rx * 0.7, 0.25), (-rx - 0.2, 0.1 - lift)], 0.22, SECOND)
        s.ellipse(-rx - 0.27, 0.02 - lift, 0.22, 0.17, SECOND)
        s.disc(-rx - 0.33, -0.03 - lift, 0.04, DETAIL)
        for x in (-0.45, 0.45):
            s.stroke([(x, 0.25), (x + s.vary(-0.15, 0.15), 0.62)], 0.25, SECOND, 0.2)
        s.sector(0, 0.3, rx, dome, TAU / 2, TAU, BODY)
        s.stroke([(-rx * 1.02, 0.3), (rx * 1.02, 0.3)], 0.11, ACCENT)
        for x in (-0.35, 0.0, 0.35):
            s.stroke([(x * 1.3, 0.25), (x * 0.7, 0.3 - dome * 0.85)], 0.045, DETAIL)
        s.stroke([(-rx * 0.85, 0.3 - dome * 0.42), (rx * 0.85, 0.3 - dome * 0.42)], 0.045, DETAIL)
        return
    rx, ry = s.vary(0.52, 0.66), s.vary(0.62, 0.75)
    for side in (-1, 1):
        swing = s.vary(-0.2, 0.2)
        s.ellipse(side * (rx + 0.16), -ry * 0.55 + swing * 0.4, 0.36, 0.14, SECOND, side * (-0.7 + swing))
        s.ellipse(side * (rx + 0.02), ry * 0.72, 0.24, 0.12, SECOND, side * (0.8 + swing))
    s.ellipse(0, -ry - 0.14, 0.19, 0.26, SECOND)
    for side in (-1, 1):
        s.disc(side * 0.1, -ry - 0.2, 0.04, DETAIL)
    s.polygon([(-0.08, ry * 0.9), (0.08, ry * 0.9), (0, ry + 0.2)], SECOND)
    s.ellipse(0, 0, rx, ry, BODY)
    s.ring(0, 0, rx * 0.8, ry * 0.8, 0.05, DETAIL)
    for angle in range(6):
        turn = angle * TAU / 6
        s.stroke(
            [
                (0.24 * math.cos(turn), 0.26 * math.sin(turn)),
                (rx * 0.78 * math.cos(turn), ry * 0.78 * math.sin(turn)),
            ],
            0.05,
            DETAIL,
        )
    s.polygon([(0.26 * math.cos(a * TAU / 6), 0.28 * math.sin(a * TAU / 6)) for a in range(6)], ACCENT)
