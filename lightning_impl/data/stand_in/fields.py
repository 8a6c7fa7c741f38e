"""Scalar fields over the frame: grain, clouds, stripes, checks, dots. Cheap, because tiles are drawn once."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np

HEIGHT, WIDTH = 420, 580
# Whatever is smooth is drawn at half the size and scaled up: a quarter of the work, and out of focus as
# what lies behind a photographed object is.
HALF_HEIGHT, HALF_WIDTH = HEIGHT // 2, WIDTH // 2

TILE_SEED = 580420


@cache
def _grain_tile() -> np.ndarray:
    return np.random.RandomState(TILE_SEED).standard_normal((HEIGHT + 200, WIDTH + 200)).astype(np.float32)


@cache
def _cloud_tile() -> np.ndarray:
    random = np.random.RandomState(TILE_SEED + 1)
    height, width = 512, 640
    tile = np.zeros((height, width), np.float32)
    for octave in range(6):
        cells = 5 * 2**octave
        layer = random.random_sample((cells * 4 // 5, cells)).astype(np.float32)
        tile += cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return cv2.normalize(tile, None, 0.0, 1.0, cv2.NORM_MINMAX)


@cache
def coordinates() -> tuple[np.ndarray, np.ndarray]:
    """x and y, each `(210, 290)` float32, in units of half the frame's height, zero at the centre."""
    x = (np.arange(HALF_WIDTH, dtype=np.float32) - HALF_WIDTH / 2) / (HALF_HEIGHT / 2)
    y = (np.arange(HALF_HEIGHT, dtype=np.float32) - HALF_HEIGHT / 2) / (HALF_HEIGHT / 2)
    grid_x, grid_y = np.meshgrid(x, y)
    return grid_x, grid_y


def grain(random: np.random.RandomState) -> np.ndarray:
    """Fine noise of mean 0 and deviation 1, `(420, 580)` float32."""
    top, left = random.randint(0, 200, 2)
    return _grain_tile()[top : top + HEIGHT, left : left + WIDTH]


def clouds(random: np.random.RandomState) -> np.ndarray:
    """Smooth noise of many sizes in `[0, 1]`, `(210, 290)` float32, at a random zoom."""
    zoom = random.uniform(0.15, 1.0)
    tile = _cloud_tile()
    height, width = int(HALF_HEIGHT * zoom), int(HALF_WIDTH * zoom)
    top, left = random.randint(0, tile.shape[0] - height), random.randint(0, tile.shape[1] - width)
    return cv2.resize(tile[top : top + height, left : left + width], (HALF_WIDTH, HALF_HEIGHT))


def slope(random: np.random.RandomState) -> np.ndarray:
    """A plane in a random direction, about `[0, 1]` over the frame, `(210, 290)` float32."""
    x, y = coordinates()
    angle = random.uniform(0, 2 * math.pi)
    return x * (math.cos(angle) * 0.36) + y * (math.sin(angle) * 0.36) + 0.5


def pattern(random: np.random.RandomState) -> np.ndarray:
    """Stripes, checks, dots, wood or clouds in `[0, 1]`, `(210, 290)` float32."""
    kind = random.randint(6)
    if kind >= 4:
        return clouds(random)
    x, y = coordinates()
    angle, frequency = random.uniform(0, math.pi), random.uniform(5, 28)
    along = x * (math.cos(angle) * frequency) + y * (math.sin(angle) * frequency)
    if kind == 3:  # wood: stripes bent by clouds
        return np.sin(along + clouds(random) * random.uniform(4, 14)) * 0.5 + 0.5
    waves = np.sin(along)
    if kind >= 1:
        waves *= np.sin(y * (math.cos(angle) * frequency) - x * (math.sin(angle) * frequency))
    hardness = random.uniform(0.7, 5.0)
    if kind == 2:  # dots: only the tops of the waves
        waves = waves * 2 - 1
    return np.clip(waves * hardness, -1, 1) * 0.5 + 0.5


def full_size(field: np.ndarray) -> np.ndarray:
    """A field or picture scaled up to the frame, `(420, 580)` or `(420, 580, 3)`."""
    return cv2.resize(field, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
