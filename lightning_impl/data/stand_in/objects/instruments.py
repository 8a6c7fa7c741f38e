"""Clock, glasses, guitar, umbrella."""

from __future__ import annotations

import math

from lightning_impl.data.stand_in.sketch import ACCENT, BODY, DETAIL, GLASS, SECOND, TAU, Sketch, arc_points


def clock(s: Sketch) -> None:
    """A dial with ticks and two hands: alarm clock with bells and feet, or wall clock, round or square."""
    radius, rim = s.vary(0.66, 0.8), s.vary(0.1, 0.18)
    if s.chance(0.6):
        for side in (-1, 1):
            s.stroke(
                [(side * radius * 0.5, radius * 0.7), (side * radius * 0.75, radius * 1.25)], 0.13, SECOND
            )
            s.ellipse(side * radius * 0.62, -radius * 0.98, 0.27, 0.18, ACCENT, side * 0.6)
        s.arc(0, -radius * 1.05, 0.17, 0.2, math.pi, TAU, 0.06, DETAIL)
        s.disc(0, 0, radius, BODY)
    elif s.chance(0.5):
        s.disc(0, 0, radius, BODY)
    else:
        s.box(0, 0, radius * 2, radius * 2, BODY)
    face = radius - rim
    s.disc(0, 0, face, GLASS)
    for tick in range(12):
        angle = tick * TAU / 12
        inner, width = (0.72, 0.07) if tick % 3 == 0 else (0.8, 0.035)
        s.stroke(
            [
                (face * inner * math.cos(angle), face * inner * math.sin(angle)),
                (face * 0.92 * math.cos(angle), face * 0.92 * math.sin(angle)),
            ],
            width,
            DETAIL,
        )
    hour = s.vary(0, TAU)
    for angle, length, width in ((hour, 0.5, 0.1), (hour * 12 % TAU, 0.75, 0.065)):
        s.stroke(
            [
                (-0.08 * math.cos(angle), -0.08 * math.sin(angle)),
                (face * length * math.cos(angle), face * length * math.sin(angle)),
            ],
            width,
            DETAIL,
        )
    s.disc(0, 0, 0.07, DETAIL)


def glasses(s: Sketch) -> None:
    """Two framed lenses, a bridge and bows; round, oval, square or cat-eye; clear or dark."""
    kind, rx, frame = s.count(0, 2), s.vary(0.34, 0.44), s.vary(0.06, 0.12)
    ry = rx * s.vary(0.62, 1.0)
    x, tint, bow = rx + s.vary(0.08, 0.15), s.chance(0.55), s.vary(0.25, 0.6)
    for side in (-1, 1):
        reach = (side * (x + rx * 0.9), -ry * 0.4)
        s.stroke(
            [
                reach,
                (side * (x + rx + 0.1), -ry * 0.4 - bow * 0.55),
                (side * (x + rx * 0.7), -ry * 0.4 - bow),
            ],
            frame * 0.9,
            SECOND,
        )
    s.arc(0, -ry * 0.1, x - rx + 0.06, 0.15, math.pi, TAU, frame * 0.9, BODY)
    for side in (-1, 1):
        if kind == 0:
            outline = arc_points(side * x, 0, rx, ry, 0, TAU)[:-1]
        elif kind == 1:
            outline = arc_points(side * x, 0, rx * 1.18, ry * 1.1, 0.4, TAU + 0.4)[:-1]
            outline[:, 0] = outline[:, 0].clip(side * x - rx, side * x + rx)
            outline[:, 1] = outline[:, 1].clip(-ry * 0.85, ry * 0.85)
        else:
            outline = arc_points(side * x, 0, rx, ry * 0.9, 0, TAU)[:-1]
            upper = outline[:, 1] < 0
            outline[:, 1] -= upper * (outline[:, 0] * side - x + rx) * 0.28
        hole = (outline - outline.mean(0)) * (1 - frame / rx) + outline.mean(0)
        if tint:
            s.polygon(hole, GLASS if s.chance(0.5) else DETAIL)
        s.framed(outline, hole, BODY)


def guitar(s: Sketch) -> None:
    """A waisted (or horned, electric) body with a long fretted neck and a peg head."""
    lower, upper, waist = s.vary(0.36, 0.46), s.vary(0.26, 0.36), s.vary(0.2, 0.28)
    electric = s.chance(0.35)
    neck, head = s.vary(0.09, 0.13), s.vary(-1.1, -0.95)
    if electric:
        s.blob(
            [
                (0.0, 0.12),
                (0.16, 0.1),
                (upper + 0.05, -0.2),
                (upper, 0.2),
                (waist, 0.42),
                (lower, 0.72),
                (0.15, 1.0),
                (-0.2, 0.98),
                (-lower, 0.7),
                (-waist, 0.4),
                (-upper * 1.1, 0.15),
                (-upper - 0.1, -0.25),
                (-0.16, 0.08),
            ],
            BODY,
        )
    else:
        s.symmetric([(0.02, 0.0), (upper, 0.12), (waist, 0.4), (lower, 0.72), (0.02, 1.0)], BODY, smooth=True)
    s.box(0, (head + 0.4) / 2, neck, 0.4 - head, SECOND)
    for fret in range(s.count(4, 7)):
        s.box(0, head + 0.12 + fret * 0.16, neck, 0.022, DETAIL)
    s.polygon(
        [
            (-neck * 0.7, head + 0.05),
            (-neck * s.vary(0.8, 1.2), head - 0.26),
            (neck * 0.9, head - 0.26),
            (neck * 0.7, head + 0.05),
        ],
        SECOND,
    )
    for peg in range(3):
        for side in (-1, 1):
            s.disc(side * (neck + 0.04), head - 0.02 - peg * 0.1, 0.035, DETAIL)
    if electric:
        for y in (0.45, 0.62):
            s.box(0, y, 0.26, 0.07, DETAIL)
    else:
        s.disc(0, 0.38, s.vary(0.11, 0.15), DETAIL)
    s.box(0, 0.78, 0.3, 0.06, ACCENT)
    s.box(0, 0.05, 0.02, 1.5, GLASS)


def umbrella(s: Sketch) -> None:
    """An open canopy with a scalloped edge, a stick and a crook; the dome's height varies."""
    reach, dome, gores = s.vary(0.78, 1.0), s.vary(0.5, 0.85), s.count(4, 6)
    s.stroke([(0, -dome - 0.12), (0, 0.75)], s.vary(0.05, 0.08), SECOND)
    hook = s.vary(0.1, 0.17)
    s.arc(hook, 0.74, hook, hook * 1.3, 0.0, math.pi, 0.08, DETAIL)
    scallop = reach * 2 / gores
    edge = []
    for gore in range(gores):
        right = reach - gore * scallop
        edge += [
            (right, 0.0),
            (right - scallop * 0.25, -0.1),
            (right - scallop * 0.5, -0.13),
            (right - scallop * 0.75, -0.1),
        ]
    top = [tuple(point) for point in arc_points(0, 0, reach, dome, math.pi, TAU)]
    s.polygon([*top, *edge], BODY)
    if s.chance(0.6):
        for gore in range(0, gores, 2):
            right = reach - gore * scallop
            s.polygon(
                [(0, -dome), (right, 0.0), (right - scallop * 0.5, -0.13), (right - scallop, 0.0)], ACCENT
            )
            if right > 0 and gore == 0:
                s.sector(0, 0, reach, dome, TAU - math.acos((reach - scallop) / reach), TAU, BODY)
    else:
        for gore in range(1, gores):
            s.stroke(
                [(0, -dome), ((reach - gore * scallop) * 0.75, -dome * 0.45), (reach - gore * scallop, 0)],
                0.03,
                DETAIL,
                smooth=True,
            )
