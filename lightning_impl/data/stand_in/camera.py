"""Light and lens: pose of the object, lighting of the scene, blur, grain."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lightning_impl.data.stand_in.fields import HEIGHT, WIDTH, full_size, grain, slope
from lightning_impl.data.stand_in.paint import fill
from lightning_impl.data.stand_in.sketch import Part, turned

MOST_TURN_DEGREES = 35.0
SMALLEST, LARGEST = 0.42, 0.92


def place(parts: list[Part], random: np.random.RandomState) -> list[Part]:
    """The parts in pixels: mirrored or not, turned, sheared, bent, in perspective, scaled, put in place."""
    points = np.concatenate([contour for part in parts for contour in part.contours])
    points = points - (points.max(0) + points.min(0)) / 2
    if random.random_sample() < 0.5:
        points[:, 0] = -points[:, 0]
    points[:, 0] += random.uniform(-0.07, 0.07) * np.sin(points[:, 1] * 2 + random.uniform(0, 6))
    points[:, 1] += random.uniform(-0.07, 0.07) * np.sin(points[:, 0] * 2 + random.uniform(0, 6))
    points[:, 0] *= math.exp(random.uniform(-0.12, 0.12))
    points[:, 0] += random.uniform(-0.14, 0.14) * points[:, 1]
    points = turned(points, math.radians(MOST_TURN_DEGREES * random.triangular(-1, 0, 1)))
    depth = 1 + points[:, :1] * random.uniform(-0.16, 0.16) + points[:, 1:] * random.uniform(-0.16, 0.16)
    points = points / np.maximum(depth, 0.4)
    low, high = points.min(0), points.max(0)
    size = high - low
    scale = random.uniform(SMALLEST, LARGEST) * min(HEIGHT / size[1], WIDTH * 0.85 / size[0])
    # Anywhere inside the frame, and a little over its edge.
    slack = (np.array((WIDTH, HEIGHT)) - size * scale) / 2
    spill = 0.03 * size * scale
    centre = np.array((WIDTH, HEIGHT)) / 2 + random.triangular(-1, 0, 1, 2) * (slack + spill)
    points = (points - (high + low) / 2) * scale + centre
    placed, start = [], 0
    for part in parts:
        contours = []
        for contour in part.contours:
            contours.append(points[start : start + len(contour)])
            start += len(contour)
        placed.append(Part(tuple(contours), part.tone))
    return placed


def light_field(random: np.random.RandomState) -> np.ndarray:
    """Factors of light, `(420, 580, 3)` float32: exposure, tint, slope, a spot, a hard shadow."""
    gain = math.exp(random.uniform(-0.4, 0.35))
    field = 1 + (slope(random)[::5, ::5] - 0.5) * random.uniform(0, 0.9)
    if random.random_sample() < 0.4:
        height, width = field.shape
        x, y = random.uniform(0, width), random.uniform(0, height)
        spread = random.uniform(12, 40)
        columns = np.exp(-((np.arange(width, dtype=np.float32) - x) ** 2) / (2 * spread**2))
        rows = np.exp(-((np.arange(height, dtype=np.float32) - y) ** 2) / (2 * spread**2))
        field = field * (0.65 + 0.7 * rows[:, None] * columns[None])
    field = full_size(field.astype(np.float32))
    if random.random_sample() < 0.35:
        field = cv2.multiply(field, _hard_shadow(random))
    tint = [gain * random.uniform(0.86, 1.14) for _ in range(3)]
    return cv2.merge([cv2.multiply(field, factor) for factor in tint])


def _hard_shadow(random: np.random.RandomState) -> np.ndarray:
    """The shadow of something out of the picture: a band or a corner, soft-edged, `(420, 580)` float32."""
    mask = np.full((HEIGHT // 4, WIDTH // 4), 255, np.uint8)
    angle, reach = random.uniform(0, 2 * math.pi), random.uniform(20, 70)
    corners = np.array([(-300, 0), (300, 0), (300, reach), (-300, reach)], np.float64)
    centre = (random.uniform(0, WIDTH // 4), random.uniform(0, HEIGHT // 4))
    fill(mask, (turned(corners, angle) + centre,), int(random.uniform(95, 190)))
    mask = cv2.GaussianBlur(mask, (0, 0), random.uniform(0.8, 6.0))
    return full_size(mask.astype(np.float32) / 255)


def expose(picture: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """The picture as a camera gives it, `(420, 580, 3)` uint8: lit, of lower contrast, blurred, grainy."""
    picture = cv2.multiply(picture, light_field(random), dtype=cv2.CV_8U)
    gamma, floor, ceiling = (
        math.exp(random.uniform(-0.35, 0.35)),
        random.uniform(0, 45),
        random.uniform(205, 255),
    )
    table = floor + (ceiling - floor) * (np.arange(256) / 255.0) ** gamma
    picture = cv2.LUT(picture, table.astype(np.uint8))
    kind = random.randint(4)
    if kind == 1:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 2.6))
    elif kind == 2:
        picture = cv2.filter2D(picture, -1, _motion_kernel(random))
    deviation = random.uniform(0, 1) ** 2 * 18
    noise = cv2.multiply(grain(random), deviation)
    if random.random_sample() < 0.5:
        noise = cv2.merge(
            (noise, cv2.multiply(grain(random), deviation), cv2.multiply(grain(random), deviation))
        )
    else:
        noise = cv2.merge((noise, noise, noise))
    return cv2.add(picture, noise, dtype=cv2.CV_8U)


def _motion_kernel(random: np.random.RandomState) -> np.ndarray:
    # A kernel beyond 11 pixels is run as a Fourier transform, several times slower.
    reach = int(random.randint(2, 6))
    angle = random.uniform(0, math.pi)
    size = 2 * reach + 1
    kernel = np.zeros((size, size), np.uint8)
    dx, dy = reach * math.cos(angle), reach * math.sin(angle)
    start, end = (round(reach - dx), round(reach - dy)), (round(reach + dx), round(reach + dy))
    cv2.line(kernel, start, end, 255, 1)
    kernel = kernel.astype(np.float32)
    return kernel / kernel.sum()
