"""Cactus, house, mushroom, windmill."""

from __future__ import annotations

import math

from lightning_impl.data.stand_in.sketch import ACCENT, BODY, DETAIL, GLASS, SECOND, TAU, Sketch


def cactus(s: Sketch) -> None:
    """A ribbed column with upturned arms, at times potted."""
    trunk, arm = s.vary(0.2, 0.3), s.vary(0.14, 0.2)
    potted = s.chance(0.5)
    foot = 0.6 if potted else 0.95
    sides = s.pick((-1, 1), (-1, 1), (1,))
    for side in sides:
        y, reach, rise = s.vary(-0.1, 0.35), s.vary(0.42, 0.62), s.vary(0.35, 0.6)
        s.stroke(
            [(0, y), (side * reach * 0.8, y), (side * reach, y - 0.15), (side * reach, y - rise)], arm, BODY
        )
        s.disc(side * reach, y - rise, arm / 2, BODY)
        s.stroke([(side * reach, y - 0.12), (side * reach, y - rise)], 0.03, DETAIL)
    s.stroke([(0, -0.75), (0, foot)], trunk * 1.6, BODY)
    s.disc(0, -0.75, trunk * 0.8, BODY)
    for rib in (-0.45, 0, 0.45):
        s.stroke([(rib * trunk, -0.8), (rib * trunk, foot)], 0.03, DETAIL)
    for spine in range(6):
        y = -0.7 + spine * 0.22
        for side in (-1, 1):
            s.stroke([(side * trunk * 0.75, y), (side * (trunk * 0.75 + 0.12), y - 0.06)], 0.025, SECOND)
    if s.chance(0.4):
        s.disc(0, -0.75 - trunk * 0.8, 0.11, ACCENT)
    if potted:
        s.polygon([(-0.42, 0.58), (0.42, 0.58), (0.3, 1.05), (-0.3, 1.05)], SECOND)
        s.box(0, 0.6, 0.95, 0.14, ACCENT)


def house(s: Sketch) -> None:
    """Walls under a gable or hipped roof, with door, windows and often a chimney."""
    half, eaves, ridge = s.vary(0.55, 0.82), s.vary(-0.25, 0.0), s.vary(0.4, 0.7)
    if s.chance(0.7):
        s.box(s.pick(-1, 1) * half * 0.55, eaves - ridge * 0.6, 0.17, ridge * 0.95, SECOND)
    s.box(0, (eaves + 0.8) / 2, half * 2, 0.8 - eaves, BODY)
    over = half + s.vary(0.06, 0.18)
    hip = s.pick(0.0, 0.0, half * 0.5)
    s.polygon(
        [(-over, eaves + 0.05), (-hip, eaves - ridge), (hip, eaves - ridge), (over, eaves + 0.05)], ACCENT
    )
    s.stroke([(-over, eaves + 0.05), (over, eaves + 0.05)], 0.06, DETAIL)
    door = s.vary(-0.3, 0.3) * half
    s.box(door, 0.55, 0.27, 0.5, DETAIL)
    s.disc(door + 0.08, 0.57, 0.03, GLASS)
    for x in (-half * 0.62, half * 0.62):
        for y in (eaves + 0.3,) if abs(x - door) < 0.3 else (eaves + 0.3, 0.55):
            if y > 0.62:
                continue
            s.box(x, y, 0.28, 0.24, GLASS)
            s.box(x, y, 0.28, 0.03, DETAIL)
            s.box(x, y, 0.03, 0.24, DETAIL)
    if s.chance(0.5):
        s.disc(0, eaves - ridge * 0.4, 0.11, GLASS)


def mushroom(s: Sketch) -> None:
    """A domed, pointed or flat spotted cap on a stem; at times a small one beside it."""
    cap, dome, stem = s.vary(0.6, 0.9), s.vary(0.45, 0.95), s.vary(0.15, 0.26)
    if s.chance(0.35):
        x = s.pick(-1, 1) * cap * 0.75
        s.stroke([(x, 0.4), (x, 0.92)], 0.2, SECOND, 0.26)
        s.sector(x, 0.42, 0.32, 0.35, math.pi, TAU, BODY)
    s.symmetric(
        [(stem * 0.85, -0.1), (stem * 0.9, 0.3), (stem * s.vary(1.1, 1.7), 0.8), (stem, 0.95)],
        SECOND,
        smooth=True,
    )
    if s.chance(0.5):
        s.polygon([(-stem, 0.2), (stem, 0.2), (stem * 1.7, 0.42), (-stem * 1.7, 0.42)], GLASS)
    s.ellipse(0, 0.0, cap * 0.97, 0.14, DETAIL)
    if s.chance(0.6):
        s.sector(0, 0.0, cap, dome, math.pi, TAU, BODY)
    else:
        s.polygon(
            [
                (-cap, 0.02),
                (-cap * 0.75, -dome * 0.35),
                (-cap * 0.25, -dome * 0.8),
                (0, -dome * 1.05),
                (cap * 0.25, -dome * 0.8),
                (cap * 0.75, -dome * 0.35),
                (cap, 0.02),
            ],
            BODY,
        )
    spots = (
        (0.0, 0.62, 0.12),
        (-0.45, 0.35, 0.1),
        (0.42, 0.4, 0.11),
        (-0.12, 0.22, 0.09),
        (0.68, 0.13, 0.07),
        (-0.72, 0.12, 0.07),
    )
    for x, y, radius in spots[: s.count(0, 6)]:
        s.ellipse(x * cap, -y * dome, radius, radius * 0.85, ACCENT)


def windmill(s: Sketch) -> None:
    """A tower with a cap and four latticed or plain sails, turned at any angle."""
    top, foot, sail = s.vary(0.18, 0.27), s.vary(0.32, 0.48), s.vary(0.7, 0.9)
    s.polygon([(-top, -0.3), (top, -0.3), (foot, 1.0), (-foot, 1.0)], BODY)
    if s.chance(0.6):
        s.sector(0, -0.28, top * 1.2, 0.32, math.pi, TAU, ACCENT)
    else:
        s.polygon([(-top * 1.25, -0.27), (0, -0.65), (top * 1.25, -0.27)], ACCENT)
    s.box(0, 0.84, 0.2, 0.32, DETAIL)
    for y in (0.1, 0.42)[: s.count(1, 2)]:
        s.box(0, y, 0.14, 0.16, GLASS)
    start, width, plain = s.vary(0, TAU / 4), s.vary(0.15, 0.24), s.chance(0.5)
    hub = (0.0, -0.35)
    for blade in range(4):
        angle = start + blade * TAU / 4
        dx, dy = math.cos(angle), math.sin(angle)
        nx, ny = -dy, dx

        def at(along: float, across: float, dx=dx, dy=dy, nx=nx, ny=ny) -> tuple[float, float]:
            return hub[0] + dx * along + nx * across, hub[1] + dy * along + ny * across

        s.polygon([at(0.2, 0), at(0.2, width), at(sail, width), at(sail, 0)], SECOND)
        if not plain:
            for bar in range(1, 4):
                along = 0.2 + (sail - 0.2) * bar / 4
                s.stroke([at(along, 0), at(along, width)], 0.03, DETAIL)
        s.stroke([at(0, 0), at(sail, 0)], 0.06, DETAIL)
    s.disc(*hub, 0.09, DETAIL)
