"""One image: background, object, what covers it, light and lens; and its JPEG bytes."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lightning_impl.data.stand_in.backgrounds import draw_background
from lightning_impl.data.stand_in.camera import expose, place
from lightning_impl.data.stand_in.fields import HEIGHT, WIDTH, full_size, pattern, slope
from lightning_impl.data.stand_in.objects import CLASS_NAMES, OBJECTS
from lightning_impl.data.stand_in.paint import fill, outline, paint_junk
from lightning_impl.data.stand_in.palette import draw_palette
from lightning_impl.data.stand_in.sketch import Part, Sketch
from parity_common.command_errors import UserError, did_you_mean

MOST_IMAGES_PER_CLASS = 9999
MOST_COVERED = 0.25
LARGEST_SEED = 2**32 - 1


def class_index(class_name_or_index: str | int) -> int:
    """A class's place in alphanumeric order.

    Raises:
        UserError: No such class.
    """
    if isinstance(class_name_or_index, str):
        if class_name_or_index not in OBJECTS:
            hint = did_you_mean(class_name_or_index, CLASS_NAMES)
            raise UserError(f'the stand-in set has no class "{class_name_or_index}"{hint}')
        return CLASS_NAMES.index(class_name_or_index)
    if not 0 <= class_name_or_index < len(CLASS_NAMES):
        raise UserError(
            f"the stand-in set has classes 0 to {len(CLASS_NAMES) - 1}, not {class_name_or_index}"
        )
    return int(class_name_or_index)


def check_seed(seed: int) -> int:
    """The seed.

    Raises:
        UserError: It is not in `[0, 2**32)`.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"the seed of the stand-in set must be 0 to {LARGEST_SEED}, not {seed}")
    return int(seed)


def _random(class_name_or_index: str | int, number: int, seed: int) -> np.random.RandomState:
    if not 1 <= number <= MOST_IMAGES_PER_CLASS:
        raise UserError(f"image numbers of the stand-in set are 1 to {MOST_IMAGES_PER_CLASS}, not {number}")
    # RandomState's stream is frozen across numpy versions, a Generator's is not.
    return np.random.RandomState([check_seed(seed), class_index(class_name_or_index), number])


def draw_image(class_name_or_index: str | int, number: int, seed: int) -> np.ndarray:
    """Draws one image, before its JPEG compression.

    Args:
        class_name_or_index: A name of `CLASS_NAMES`, or its index.
        number: The image's number in its class, 1 to 9999.
        seed: The set's seed, 0 to 2**32 - 1.

    Returns:
        `(420, 580, 3)` uint8 RGB in `[0, 255]`; a function of the three arguments alone.

    Raises:
        UserError: An argument is out of range.
    """
    return _draw(CLASS_NAMES[class_index(class_name_or_index)], _random(class_name_or_index, number, seed))


def encode_image(class_name_or_index: str | int, number: int, seed: int) -> bytes:
    """Draws one image as `draw_image` does and gives its JPEG file's bytes; the quality varies by image."""
    random = _random(class_name_or_index, number, seed)
    picture = _draw(CLASS_NAMES[class_index(class_name_or_index)], random)
    quality = int(random.randint(55, 96))
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return data.tobytes()


def _draw(name: str, random: np.random.RandomState) -> np.ndarray:
    picture = draw_background(random)
    sketch = Sketch(random)
    OBJECTS[name](sketch)
    parts = place(sketch.parts, random)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for part in parts:
        fill(mask, part.contours, 255)
    if random.random_sample() < 0.6:
        picture = _cast_shadow(picture, mask, random)
    picture = _paint_object(picture, parts, mask, random)
    if random.random_sample() < 0.5:
        picture = _cover(picture, mask, random)
    return expose(picture, random)


def _cast_shadow(picture: np.ndarray, mask: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Darkens the picture where the object's shadow falls, beside or below it."""
    small = cv2.resize(mask, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA)
    shift = np.float32(
        [[1, random.uniform(-0.3, 0.3), random.uniform(-12, 12)], [0, 1, random.uniform(0, 14)]]
    )
    small = cv2.warpAffine(small, shift, (WIDTH // 4, HEIGHT // 4))
    small = cv2.GaussianBlur(small, (0, 0), random.uniform(0.8, 5.0))
    light = full_size(small.astype(np.float32) * (-random.uniform(0.25, 0.7) / 255) + 1)
    return cv2.multiply(picture, cv2.merge((light, light, light)), dtype=cv2.CV_8U)


def _paint_object(
    picture: np.ndarray, parts: list[Part], mask: np.ndarray, random: np.random.RandomState
) -> np.ndarray:
    behind = cv2.mean(picture, mask)[:3]
    colours = draw_palette(random, behind, random.uniform(0.25, 0.6))
    # The layer starts as the picture, so that a part's anti-aliased edge blends with what is behind it.
    layer = picture.copy()
    edge = random.randint(3)
    shade = tuple(channel * random.uniform(0.2, 0.6) for channel in colours[0])
    for part in parts:
        fill(layer, part.contours, colours[part.tone])
        if edge == 0:
            outline(layer, part.contours, shade, 1 + int(random.random_sample() * 2))
    light = 1 + (slope(random) - 0.5) * random.uniform(0, 1.2)
    if random.random_sample() < 0.7:
        strength = random.uniform(0.05, 0.6)
        light = light * (1 - strength / 2 + strength * pattern(random))
    x, y, width, height = cv2.boundingRect(mask)
    inside = slice(y, y + height), slice(x, x + width)
    light = full_size(light.astype(np.float32))[inside]
    layer = cv2.multiply(layer[inside], cv2.merge((light, light, light)), dtype=cv2.CV_8U)
    picture[inside] = cv2.copyTo(layer, mask[inside], picture[inside].copy())
    return picture


def _cover(picture: np.ndarray, mask: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Puts something before the object, made smaller until it covers at most a quarter of it."""
    x, y, width, height = cv2.boundingRect(mask)
    place_x, place_y = x + width * random.random_sample(), y + height * random.random_sample()
    scale = math.sqrt(width * height) * random.uniform(0.2, 0.5)
    object_area = max(cv2.countNonZero(mask), 1)
    state = random.get_state()
    for _ in range(5):
        random.set_state(state)
        cover = picture.copy()
        paint_junk(cover, random, place_x, place_y, scale)
        changed = cv2.cvtColor(cv2.absdiff(cover, picture), cv2.COLOR_RGB2GRAY)
        if cv2.countNonZero(cv2.bitwise_and(changed, mask)) <= MOST_COVERED * object_area:
            return cover
        scale *= 0.7
    return picture
