"""Colours. They are drawn for every image alone: no colour belongs to a class."""

from __future__ import annotations

import colorsys

import numpy as np

from lightning_impl.data.stand_in.sketch import ACCENT, BODY, DETAIL, GLASS, SECOND, TONE_COUNT

Colour = tuple[float, float, float]

# A tone keeps its distance from those it must be told from if one of so many draws does.
TRIES = 12


def random_colour(random: np.random.RandomState) -> Colour:
    """An RGB colour with channels in `[0, 255]`: any hue, from grey to full, from dark to light."""
    red, green, blue = colorsys.hsv_to_rgb(
        random.random_sample(), random.random_sample() ** 1.3, 0.12 + 0.88 * random.random_sample()
    )
    return red * 255, green * 255, blue * 255


def distance(one: Colour, other: Colour) -> float:
    """Distance of two colours, 0 to 1.73; brightness counts, hue counts as much."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 / 255


def colour_apart(random: np.random.RandomState, others: list[tuple[Colour, float]]) -> Colour:
    """A colour at least so far from each of the others, or the best of a few."""
    best, best_lack = None, float("inf")
    for _ in range(TRIES):
        colour = random_colour(random)
        lack = max((least - distance(colour, other) for other, least in others), default=0.0)
        if lack <= 0:
            return colour
        if lack < best_lack:
            best, best_lack = colour, lack
    return best


def draw_palette(random: np.random.RandomState, behind: Colour, contrast: float) -> list[Colour]:
    """A colour for each tone.

    Args:
        random: The image's stream.
        behind: Mean colour of what lies behind the object.
        contrast: The least distance the object's main tones should keep from it.
    """
    colours: list[Colour] = [(0.0, 0.0, 0.0)] * TONE_COUNT
    body = colours[BODY] = colour_apart(random, [(behind, contrast)])
    if random.random_sample() < 0.5:
        # Two tones of one colour, as on most things that are made of one material.
        factor = random.choice((random.uniform(0.45, 0.75), random.uniform(1.25, 1.6)))
        second = tuple(min(channel * factor, 255.0) for channel in body)
        near = distance(second, behind) < contrast * 0.7
        colours[SECOND] = colour_apart(random, [(behind, contrast), (body, 0.2)]) if near else second
    else:
        colours[SECOND] = colour_apart(random, [(behind, contrast), (body, 0.2)])
    colours[DETAIL] = colour_apart(random, [(body, 0.45), (colours[SECOND], 0.3), (behind, contrast * 0.6)])
    colours[ACCENT] = colour_apart(random, [(body, 0.35), (behind, contrast * 0.8)])
    colours[GLASS] = colour_apart(random, [(body, 0.3), (colours[DETAIL], 0.4)])
    return colours
