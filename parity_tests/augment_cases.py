"""Images and settings on which augmentation is held against ImageDataGenerator."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightning_impl.augment import keras_parameters
from lightning_impl.augment.batched.compose import apply_to_image
from parity_common.augment_settings import AugmentSettings

PHOTO_LIKE, NOISE, FLAT = "photo_like", "noise", "flat"


def images_of(kind: str, count: int, size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """`(count, *size, 3)`: smooth shapes with some grain, noise, or shapes on plain white.

    Each is of another contrast, but those on white, as photographs of things are.
    """
    random = np.random.RandomState([seed, *size])
    images = []
    for number in range(count):
        pixels = random.uniform(0, 255, (*size, 3)).astype(np.float32)
        if kind != NOISE:
            smooth = sum(cv2.GaussianBlur(pixels, (0, 0), sigma) * sigma for sigma in (2.0, 5.0, 11.0))
            pixels = 0.95 * _stretched(smooth) + 0.05 * pixels
        if kind == FLAT:
            pixels[:, : size[1] * 2 // 3] = 255
        # Low contrast among them: where the stretch of brightness_range shows.
        low, high = (40, 160) if number % 3 == 0 and kind != FLAT else (0, 255)
        images.append(low + pixels / 255 * (high - low))
    return np.rint(np.stack(images)).astype(np.uint8)


def draw_awkward_pictures(root: Path) -> Path:
    """Three classes whose order shows, of ten pictures each, of several sizes and kinds of file."""
    for label, name in enumerate(("Zebra", "ant", "9")):
        (root / name).mkdir(parents=True)
        for number in range(10):
            size = (40 + 7 * number % 20, 50 + 5 * number % 17)
            kind = (PHOTO_LIKE, NOISE, FLAT)[number % 3]
            picture = Image.fromarray(images_of(kind, 1, size, seed=10 * label + number)[0])
            picture.save(root / name / (f"{number}.png" if number % 2 else f"{number}.jpg"))
    return root


def _stretched(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return (pixels - pixels.min()) / (pixels.max() - pixels.min()) * 255


AFFINE = {
    "rotation_range": 40.0,
    "width_shift_range": 0.2,
    "height_shift_range": 0.25,
    "shear_range": 25.0,
    "zoom_range": (0.7, 1.4),
    "horizontal_flip": True,
    "vertical_flip": True,
}
CASES = {
    "affine": AugmentSettings(**AFFINE),
    "reflect": AugmentSettings(**AFFINE, fill_mode="reflect"),
    "wrap": AugmentSettings(**AFFINE, fill_mode="wrap"),
    "constant": AugmentSettings(**AFFINE, fill_mode="constant", cval=99.0),
    "pixels": AugmentSettings(width_shift_range=4, height_shift_range=[1.0, 2.5, 6.0], horizontal_flip=True),
    "all": AugmentSettings(**AFFINE, brightness_range=(0.4, 1.7), channel_shift_range=40.0),
}


def generator_settings(settings: AugmentSettings) -> str:
    """ImageDataGenerator's arguments as JSON, for a question to Keras."""
    return json.dumps(asdict(settings) | {"rescale": None, "zoom_range": list(settings.zoom_factors)})


@dataclass
class Augmented:
    """Images that Albumentations has augmented, and what it drew for each.

    Attributes:
        images: `(N, H, W, 3)` float32.
        parameters: One dict an image, in `get_random_transform`'s terms.
    """

    images: NDArray[np.float32]
    parameters: list[dict[str, Any]]


def augmented_by_albumentations(
    compose: A.Compose, images: NDArray[np.uint8], seed: int, epoch: int
) -> Augmented:
    """Runs a pipeline of lightning_impl.augment.keras_pipeline and asks it what it drew."""
    exact = list(enumerate(images.astype(np.float32)))
    return Augmented(
        np.stack([apply_to_image(compose, image, seed, epoch, index) for index, image in exact]),
        [keras_parameters(compose, image, seed, epoch, index) for index, image in exact],
    )
