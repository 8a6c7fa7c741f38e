"""Airplane, bicycle, car, helicopter, sailboat."""

from __future__ import annotations

import math

from lightning_impl.data.stand_in.sketch import ACCENT, BODY, DETAIL, GLASS, SECOND, TAU, Sketch


def airplane(s: Sketch) -> None:
    """From above with swept or straight wings, or from the side with windows and a tail fin."""
    if s.chance(0.6):
        radius, span, sweep, chord = (
            s.vary(0.09, 0.14),
            s.vary(0.8, 1.1),
            s.vary(0.05, 0.55),
            s.vary(0.24, 0.4),
        )
        for side in (-1, 1):
            tip = -0.2 + sweep
            s.polygon(
                [(0, -0.25), (side * span, tip), (side * span, tip + chord * 0.4), (0, -0.1 + chord)], SECOND
            )
            tail = span * s.vary(0.34, 0.42)
            s.polygon(
                [
                    (0, 0.68),
                    (side * tail, 0.78 + sweep * 0.35),
                    (side * tail, 0.88 + sweep * 0.35),
                    (0, 0.92),
                ],
                SECOND,
            )
        for engine in range(s.count(0, 2)):
            for side in (-1, 1):
                x = 0.34 + 0.26 * engine
                s.ellipse(side * x, -0.18 + sweep * x / span, 0.065, 0.17, DETAIL)
        s.symmetric(
            [(0.02, -1.0), (radius * 0.8, -0.85), (radius, -0.6), (radius, 0.4), (radius * 0.35, 1.0)],
            BODY,
            smooth=True,
        )
        s.ellipse(0, -0.78, radius * 0.6, 0.07, GLASS)
        return
    radius, fin = s.vary(0.15, 0.21), s.vary(0.4, 0.6)
    s.polygon([(0.62, -0.1), (0.85, -fin - 0.1), (1.05, -fin - 0.1), (0.98, 0.02)], SECOND)
    s.blob(
        [(-1.05, 0.05), (-0.8, -radius), (0.4, -radius), (1.05, -0.08), (0.5, radius * 0.8), (-0.75, radius)],
        BODY,
    )
    for window in range(s.count(4, 7)):
        s.disc(-0.5 + window * 0.15, -0.05, 0.04, GLASS)
    s.polygon([(-0.97, -0.04), (-0.83, -0.12), (-0.72, -0.12), (-0.74, -0.02)], GLASS)
    drop = s.vary(0.3, 0.6)
    s.ellipse(0.05, 0.2 + drop * 0.3, 0.16, 0.08, DETAIL)
    s.polygon([(-0.25, 0.04), (0.15, 0.04), (0.62, drop + 0.1), (0.42, drop + 0.1)], SECOND)
    s.polygon([(0.72, -0.04), (0.9, -0.04), (1.2, 0.13), (1.07, 0.13)], SECOND)


def bicycle(s: Sketch) -> None:
    """Two spoked wheels, a frame, handlebar and saddle; wheel size, frame and bar vary."""
    wheel, base, rise = s.vary(0.36, 0.48), s.vary(0.55, 0.68), s.vary(0.5, 0.7)
    tyre, tube, spokes = s.vary(0.06, 0.1), s.vary(0.06, 0.09), s.count(3, 6)
    for x in (-base, base):
        s.ring(x, 0.35, wheel, wheel, tyre, SECOND)
        for spoke in range(spokes):
            angle = spoke * math.pi / spokes + 0.3
            dx, dy = (wheel - tyre) * math.cos(angle), (wheel - tyre) * math.sin(angle)
            s.stroke([(x - dx, 0.35 - dy), (x + dx, 0.35 + dy)], 0.022, ACCENT)
    crank, seat, head = (-0.05, 0.38), (-0.22, 0.35 - rise), (base - 0.2, 0.3 - rise)
    s.stroke([(-base, 0.35), crank], tube, BODY)
    s.stroke([(-base, 0.35), seat], tube, BODY)
    if s.chance(0.7):
        s.stroke([(seat[0] + 0.02, seat[1] + 0.08), (head[0], head[1] + 0.06)], tube, BODY)
    s.stroke([crank, (head[0] + 0.02, head[1] + 0.1)], tube, BODY)
    s.stroke([crank, (seat[0] - 0.04, seat[1] - 0.1)], tube, BODY)
    s.stroke([(base, 0.35), head, (head[0] - 0.03, head[1] - 0.16)], tube, BODY)
    if s.chance(0.5):
        s.arc(head[0] + 0.1, head[1] - 0.05, 0.14, 0.12, -TAU / 3, TAU / 4, tube, DETAIL)
    else:
        s.stroke(
            [
                (head[0] - 0.2, head[1] - 0.22),
                (head[0] + 0.02, head[1] - 0.17),
                (head[0] + 0.12, head[1] - 0.05),
            ],
            tube,
            DETAIL,
        )
    s.ellipse(seat[0] - 0.05, seat[1] - 0.13, 0.19, 0.06, DETAIL)
    s.disc(*crank, 0.1, DETAIL)
    s.stroke([(crank[0] - 0.1, crank[1] - 0.16), (crank[0] + 0.1, crank[1] + 0.16)], 0.05, DETAIL)


def car(s: Sketch) -> None:
    """A side view: saloon, van, or beetle, on two wheels."""
    kind, wheel, sill = s.count(0, 2), s.vary(0.18, 0.25), 0.3
    hood = s.vary(-0.12, 0.02)
    if kind == 0:
        roof = s.vary(-0.55, -0.42)
        s.polygon([(-0.55, hood), (-0.32, roof), (0.32, roof), (0.62, hood)], SECOND)
        s.polygon([(-0.42, hood), (-0.26, roof + 0.07), (-0.03, roof + 0.07), (-0.03, hood)], GLASS)
        s.polygon([(0.04, hood), (0.04, roof + 0.07), (0.28, roof + 0.07), (0.48, hood)], GLASS)
        s.blob(
            [
                (-1.0, hood + 0.12),
                (-0.6, hood - 0.02),
                (0.7, hood - 0.02),
                (1.0, hood + 0.08),
                (1.02, sill),
                (-1.02, sill),
            ],
            BODY,
        )
    elif kind == 1:
        roof = s.vary(-0.7, -0.5)
        s.polygon([(-1.0, sill), (-1.0, 0.0), (-0.7, hood), (-0.5, roof), (0.95, roof), (1.0, sill)], BODY)
        s.polygon([(-0.6, hood), (-0.43, roof + 0.1), (-0.15, roof + 0.1), (-0.15, hood)], GLASS)
        for x in (0.15, 0.6):
            s.box(x, (roof + hood) / 2 + 0.04, 0.34, (hood - roof) * 0.7, GLASS)
        s.box(0, 0.12, 1.96, 0.08, SECOND)
    else:
        roof = s.vary(-0.62, -0.5)
        s.blob(
            [
                (-0.95, 0.2),
                (-0.7, -0.05),
                (-0.4, roof * 0.85),
                (0.1, roof),
                (0.6, roof * 0.55),
                (0.95, 0.2),
                (0.7, sill),
                (-0.7, sill),
            ],
            BODY,
        )
        s.blob([(-0.45, -0.1), (-0.25, roof * 0.8), (-0.02, roof * 0.85), (-0.02, -0.1)], GLASS)
        s.blob([(0.08, -0.1), (0.08, roof * 0.85), (0.3, roof * 0.75), (0.52, -0.1)], GLASS)
    s.disc(-0.9, hood + 0.25, 0.08, ACCENT)
    s.box(0.96, hood + 0.25, 0.09, 0.13, ACCENT)
    s.stroke([(0.0, hood + 0.06), (0.0, sill)], 0.025, DETAIL)
    for x in (-s.vary(0.52, 0.64), s.vary(0.52, 0.64)):
        s.disc(x, sill, wheel, DETAIL)
        s.disc(x, sill, wheel * s.vary(0.4, 0.6), SECOND)


def helicopter(s: Sketch) -> None:
    """A round cabin under a wide rotor, with a tail boom, tail rotor and skids."""
    cabin, boom, rotor = s.vary(0.36, 0.48), s.vary(0.75, 1.0), s.vary(0.8, 1.1)
    tilt = s.vary(-0.08, 0.08)
    s.polygon([(0.1, -0.22), (boom, -0.16), (boom, -0.06), (0.1, 0.22)], SECOND)
    s.polygon([(boom - 0.12, -0.1), (boom + 0.08, -0.45), (boom + 0.2, -0.45), (boom + 0.06, -0.02)], BODY)
    for blade in range(2):
        s.box(boom + 0.05, -0.2, 0.05, 0.46, ACCENT, 0.6 + blade * math.pi / 2)
    s.blob(
        [
            (-cabin - 0.35, 0.1),
            (-cabin - 0.1, -0.25),
            (-0.1, -0.36),
            (0.3, -0.2),
            (0.3, 0.2),
            (-0.1, 0.36),
            (-cabin, 0.32),
        ],
        BODY,
    )
    s.blob([(-cabin - 0.28, 0.06), (-cabin - 0.06, -0.19), (-0.22, -0.26), (-0.2, 0.08)], GLASS)
    s.box(0.0, 0.03, 0.17, 0.3, DETAIL)
    s.box(-0.05, -0.42, 0.09, 0.22, DETAIL)
    s.box(-0.05, -0.53, rotor * 2, s.vary(0.06, 0.1), SECOND, tilt)
    s.box(-0.05, -0.53, 0.26, 0.13, DETAIL)
    if s.chance(0.75):
        for x in (-0.35, 0.12):
            s.stroke([(x, 0.28), (x - 0.05, 0.56)], 0.05, DETAIL)
        s.stroke([(-0.75, 0.48), (-0.62, 0.57), (0.35, 0.57)], 0.07, DETAIL)
    else:
        for x in (-0.5, 0.15):
            s.disc(x, 0.42, 0.12, DETAIL)


def sailboat(s: Sketch) -> None:
    """A hull with a mast and one or two triangular sails."""
    length, depth, mast = s.vary(0.7, 0.95), s.vary(0.24, 0.36), s.vary(0.0, 0.2)
    top = s.vary(-1.05, -0.85)
    s.stroke([(mast, 0.55), (mast, top)], 0.06, DETAIL)
    boom = s.vary(0.2, 0.36)
    belly = s.vary(0.0, 0.22)
    s.blob(
        [
            (mast + 0.04, top + 0.06),
            (mast + 0.3 + belly, -0.3),
            (length * 0.95, boom),
            (mast + 0.3, boom),
            (mast + 0.04, boom),
        ],
        BODY,
    ) if s.chance(0.4) else s.polygon(
        [(mast + 0.05, top + 0.05), (length * 0.9, boom), (mast + 0.05, boom)], BODY
    )
    if s.chance(0.8):
        s.polygon(
            [
                (mast - 0.05, top + s.vary(0.1, 0.3)),
                (mast - 0.05, boom),
                (-length * s.vary(0.75, 1.0), boom + 0.04),
            ],
            SECOND,
        )
    for band in range(s.count(0, 2)):
        y = -0.1 - band * 0.25
        width = (y - top) / (boom - top) * (length * 0.9 - mast)
        s.box(mast + width * 0.45, y, width * 0.8, 0.07, ACCENT)
    s.polygon(
        [
            (-length, 0.45),
            (length, 0.42),
            (length * s.vary(0.65, 0.85), 0.45 + depth),
            (-length * s.vary(0.5, 0.7), 0.45 + depth),
        ],
        ACCENT,
    )
    s.stroke([(-length * 0.95, 0.53), (length * 0.92, 0.51)], 0.06, DETAIL)
    if s.chance(0.5):
        s.polygon([(mast, top - 0.1), (mast + 0.25, top - 0.03), (mast, top + 0.04)], ACCENT)
