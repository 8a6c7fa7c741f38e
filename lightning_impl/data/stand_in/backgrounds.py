"""What lies behind the object: planes, horizons, patterns, walls, foliage, and clutter before them."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lightning_impl.data.stand_in.fields import HALF_HEIGHT, HALF_WIDTH, clouds, full_size, pattern, slope
from lightning_impl.data.stand_in.paint import fill, paint_junk
from lightning_impl.data.stand_in.palette import Colour, random_colour

MOST_CLUTTER = 6
SHARP_CLUTTER = 2


def mix(field: np.ndarray, low: Colour, high: Colour) -> np.ndarray:
    """A picture going from colour `low` where the field is 0 to `high` where it is 1, uint8."""
    table = np.linspace(low, high, 256).clip(0, 255).astype(np.uint8)[None]
    index = cv2.convertScaleAbs(cv2.max(field, 0.0), alpha=255)
    return cv2.LUT(cv2.merge((index, index, index)), table)


def _near(random: np.random.RandomState, colour: Colour, spread: float) -> Colour:
    shift = random.uniform(-spread, spread)
    return tuple(min(max(channel + shift + random.uniform(-12, 12), 0.0), 255.0) for channel in colour)


def _plane(random: np.random.RandomState) -> np.ndarray:
    return mix(slope(random), random_colour(random), random_colour(random))


def _blobs(random: np.random.RandomState) -> np.ndarray:
    rows, columns = random.randint(2, 7), random.randint(3, 9)
    grid = np.array([random_colour(random) for _ in range(rows * columns)], np.uint8).reshape(
        rows, columns, 3
    )
    return cv2.resize(grid, (HALF_WIDTH, HALF_HEIGHT), interpolation=cv2.INTER_CUBIC)


def _patterned(random: np.random.RandomState) -> np.ndarray:
    colour = random_colour(random)
    other = random_colour(random) if random.random_sample() < 0.4 else _near(random, colour, 70)
    return mix(pattern(random), colour, other)


def _horizon(random: np.random.RandomState) -> np.ndarray:
    sky = random.choice((0, 1, 2))
    picture = (_plane, _blobs, _patterned)[sky](random)
    ground = _patterned(random)
    level, tilt = random.uniform(0.3, 0.85) * HALF_HEIGHT, random.uniform(-30, 30)
    edge = np.array(
        [(0, level - tilt), (HALF_WIDTH, level + tilt), (HALF_WIDTH, HALF_HEIGHT), (0, HALF_HEIGHT)]
    )
    mask = np.zeros((HALF_HEIGHT, HALF_WIDTH), np.uint8)
    fill(mask, (edge,), 255)
    cv2.copyTo(ground, mask, picture)
    return picture


def _wall(random: np.random.RandomState) -> np.ndarray:
    colour = random_colour(random)
    picture = np.empty((HALF_HEIGHT, HALF_WIDTH, 3), np.uint8)
    picture[:] = _near(random, colour, 60)
    height, width, joint = random.randint(14, 60), random.randint(24, 130), random.randint(1, 4)
    for row, top in enumerate(range(-random.randint(height), HALF_HEIGHT, height)):
        for left in range(-random.randint(width) if row % 2 else -width // 2, HALF_WIDTH, width):
            cv2.rectangle(
                picture,
                (left, top),
                (left + width - joint, top + height - joint),
                _near(random, colour, 25),
                -1,
            )
    return picture


def _foliage(random: np.random.RandomState) -> np.ndarray:
    colour = random_colour(random)
    picture = np.empty((HALF_HEIGHT, HALF_WIDTH, 3), np.uint8)
    picture[:] = colour
    size = random.uniform(6, 24)
    count = int(min(2200 / size, 160))
    places = random.random_sample((count, 4))
    round_ones = random.random_sample() < 0.5
    for x, y, turn, light in places:
        centre = (int(x * HALF_WIDTH), int(y * HALF_HEIGHT))
        axes = (int(size * (0.6 + light)), int(size * (0.6 if round_ones else 0.25)))
        shade = tuple(min(channel * (0.5 + light), 255.0) for channel in colour)
        cv2.ellipse(picture, centre, axes, turn * 360, 0, 360, shade, -1)
    return picture


KINDS = (_plane, _blobs, _blobs, _patterned, _patterned, _horizon, _horizon, _wall, _foliage, _foliage)


def draw_background(random: np.random.RandomState) -> np.ndarray:
    """A picture without an object, `(420, 580, 3)` uint8 RGB."""
    picture = KINDS[random.randint(len(KINDS))](random)
    if random.random_sample() < 0.5:
        light = cv2.add(cv2.multiply(clouds(random), 0.6), 0.7)
        picture = cv2.multiply(picture, cv2.merge((light, light, light)), dtype=cv2.CV_8U)
    for _ in range(random.randint(MOST_CLUTTER + 1)):
        x, y = random.uniform(0, HALF_WIDTH), random.uniform(0, HALF_HEIGHT)
        paint_junk(picture, random, x, y, math.exp(random.uniform(math.log(14), math.log(55))))
    if random.random_sample() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.7, 5.0))
    picture = full_size(picture)
    for _ in range(random.randint(SHARP_CLUTTER + 1)):
        x, y = random.uniform(0, HALF_WIDTH * 2), random.uniform(0, HALF_HEIGHT * 2)
        paint_junk(picture, random, x, y, math.exp(random.uniform(math.log(20), math.log(70))))
    return picture
