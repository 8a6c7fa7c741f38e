"""What the tests of batched augmentation share: images, named transforms, and one comparison."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

# The package first: it keeps Albumentations from asking the network for its version.
from lightning_impl.augment import BatchedCompose, KerasAffine, KerasBrightness, KerasChannelShift  # isort: skip
import albumentations as A

from lightning_impl.augment.batched.compose import apply_to_image

SEED, EPOCH = 3, 1
# Neither square nor even, and no multiple of a vector register's lanes.
ODD = (45, 67)
SQUARE = (40, 40)
COUNT = 42


def draw_images(size: tuple[int, int], dtype: type = np.uint8, channels: int = 3) -> NDArray:
    """Noise, soft pictures with grain, and patches with hard edges, `(COUNT, *size, channels)` of 0-255."""
    source = np.random.default_rng(11)
    drawn: list[NDArray] = []
    for number in range(COUNT):
        if number % 3 == 0:
            drawn.append(source.integers(0, 256, (*size, channels)).astype(np.float32))
            continue
        side, manner, grain = ((5, cv2.INTER_CUBIC, 3.0), (9, cv2.INTER_NEAREST, 0.0))[number % 3 - 1]
        small = source.integers(0, 256, (side, side + 1, channels)).astype(np.float32)
        large = cv2.resize(small, size[::-1], interpolation=manner).reshape(*size, channels)
        drawn.append(large + (source.normal(0, 1, large.shape) * grain).astype(np.float32))
    return np.clip(np.stack(drawn), 0, 255).astype(dtype)


@dataclass(frozen=True)
class Difference:
    """How far two batches of images are from each other.

    Attributes:
        most: The largest difference of two values.
        share_equal: The share of values that are equal.
        report: Both, and the worst element.
    """

    most: float
    share_equal: float
    report: str


def difference(ours: NDArray, theirs: NDArray) -> Difference:
    """Compares in place.

    Raises:
        AssertionError: Shapes or dtypes differ, values are not finite or none, or all images are the same.
    """
    assert ours.shape == theirs.shape, f"shape {ours.shape}, not {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"dtype {ours.dtype}, not {theirs.dtype}"
    assert theirs.size, "no values"
    assert np.isfinite(ours).all(), "ours is not finite"
    assert np.isfinite(theirs).all(), "theirs is not finite"
    assert not (theirs == theirs[:1]).all(), "every image is the same"
    apart = np.abs(ours.astype(np.float64) - theirs)
    worst = np.unravel_index(int(apart.argmax()), apart.shape)
    most, share = float(apart.max()), float((apart == 0).mean())
    place = tuple(int(each) for each in worst)
    report = f"max {most:.6g} at {place}: {ours[worst]}, not {theirs[worst]}; {share:.4%} equal"
    return Difference(most, share, report)


def batched(compose: A.Compose, images: NDArray, mode: Any, batch_size: int = 64) -> NDArray:
    pipeline = BatchedCompose(compose, images.shape[1:3], SEED, mode)
    places = indices(images)
    threads = torch.get_num_threads()
    # Threads wait for each other longer than the work on images this small takes.
    torch.set_num_threads(1)
    try:
        pieces = [
            pipeline(torch.from_numpy(images[at : at + batch_size]), EPOCH, places[at : at + batch_size])
            for at in range(0, len(images), batch_size)
        ]
    finally:
        torch.set_num_threads(threads)
    return torch.cat(pieces).numpy()


def one_by_one(compose: A.Compose, images: NDArray) -> NDArray:
    pairs = zip(images, indices(images), strict=True)
    return np.stack([apply_to_image(compose, image, SEED, EPOCH, int(index)) for image, index in pairs])


def indices(images: NDArray) -> NDArray[np.int64]:
    """Not 0, 1, 2: a place in the batch in the index's stead would go unseen."""
    return np.arange(len(images)) * 7 + 1


def compared(compose: A.Compose, size: tuple[int, int], mode: Any, channels: int = 3) -> Difference:
    images = draw_images(size, np.uint8 if mode == "faithful" else np.float32, channels)
    return difference(batched(compose, images, mode), one_by_one(compose, images))


@dataclass(frozen=True)
class Case:
    """A transform, and how near it must come.

    Attributes:
        make: Gives the transform.
        is_warp: Whether it interpolates by a matrix: else uint8 must be equal.
        float_limit: The largest difference of float images of 0-255; None where they are refused.
    """

    make: Callable[[], Any]
    is_warp: bool = False
    float_limit: float | None = 0.0


def _shift_scale_rotate() -> Any:
    with warnings.catch_warnings():
        # Albumentations warns that it is an Affine.
        warnings.simplefilter("ignore")
        return A.ShiftScaleRotate(shift_limit_x=(-0.2, 0.1), scale_limit=0.3, p=1)


# Measured over these cases: 0.0051. A centre half a pixel off gives 210.
WARP_LIMIT = 0.02
# Measured over these cases: 4.6e-5, three steps of float32 at 255. Corners in place of centres give 88.
RESIZE_LIMIT = 2e-4
WIDE = (-0.8, 0.8)


def _affine(**arguments: Any) -> Case:
    return Case(lambda: A.Affine(**{"p": 1, **arguments}), True, WARP_LIMIT)


def _tone(make: Callable[[], Any]) -> Case:
    return Case(make, float_limit=None)


CASES: dict[str, Case] = {
    "no-op": Case(lambda: A.NoOp()),
    "horizontal-flip": Case(lambda: A.HorizontalFlip()),
    "vertical-flip": Case(lambda: A.VerticalFlip()),
    "transpose": Case(lambda: A.Transpose(p=1)),
    "quarter-turns": Case(lambda: A.RandomRotate90(p=0.8)),
    "keras-affine": Case(lambda: KerasAffine(30, 0.2, 0.1, 10, (0.8, 1.3)), True, WARP_LIMIT),
    "keras-channel-shift": Case(lambda: KerasChannelShift(60.0)),
    "keras-brightness": Case(lambda: KerasBrightness((0.5, 1.5))),
    "affine": _affine(scale=(0.7, 1.4), translate_percent=0.2, rotate=(-40, 40), shear=(-15, 15)),
    "affine-by-pixels": _affine(
        scale=(0.7, 1.4), keep_ratio=True, translate_px={"x": (-5, 9), "y": (0, 3)}, rotate=30, p=0.8
    ),
    "affine-one-axis": _affine(scale={"x": (0.5, 1.5)}, shear={"y": 10}, border_mode=cv2.BORDER_REPLICATE),
    "affine-balanced-and-filled": _affine(scale=(0.5, 1.4), balanced_scale=True, fill=(255, 9, 37.6)),
    "affine-balanced-upward": _affine(scale=(1.0, 1.4), balanced_scale=True, rotate=(5, 9)),
    "affine-reflected": _affine(scale=(0.3, 0.9), rotate=(-180, 180), border_mode=cv2.BORDER_REFLECT),
    "affine-mirrored": _affine(scale=(0.3, 0.9), rotate=(-180, 180), border_mode=cv2.BORDER_REFLECT_101),
    "affine-often-identity": _affine(translate_px=(0, 1)),
    "rotate": Case(lambda: A.Rotate((-70, 80), rotate_method="ellipse", p=0.7, fill=77), True, WARP_LIMIT),
    "shift-scale-rotate": Case(_shift_scale_rotate, True, WARP_LIMIT),
    "resized-crop": Case(lambda: A.RandomResizedCrop((32, 41)), float_limit=RESIZE_LIMIT),
    "resized-crop-rarely-fits": Case(
        lambda: A.RandomResizedCrop((50, 30), scale=(0.7, 1), ratio=(1.5, 3)), float_limit=RESIZE_LIMIT
    ),
    "resized-crop-never-fits": Case(
        lambda: A.RandomResizedCrop((50, 71), scale=(1, 1), ratio=(0.1, 0.2)), float_limit=RESIZE_LIMIT
    ),
    "dropout-by-share": Case(
        lambda: A.CoarseDropout((1, 8), (0.05, 0.3), (0.1, 0.4), fill=(3.7, 200, 5), p=1)
    ),
    "dropout-by-pixels": Case(lambda: A.CoarseDropout((3, 5), (4, 9), (1, 90), fill=7, p=0.6)),
    "dropout-of-one-pixel": Case(lambda: A.CoarseDropout((1, 2), (0.5, 1.0), (0.5, 1.0), p=1)),
    "grey": Case(lambda: A.ToGray(p=0.5)),
    "grey-average": Case(lambda: A.ToGray(method="average", p=0.5)),
    "grey-max": Case(lambda: A.ToGray(method="max", p=0.5)),
    "grey-desaturation": Case(lambda: A.ToGray(method="desaturation", p=0.5), float_limit=None),
    "normalize": Case(lambda: A.Normalize()),
    "normalize-one-number": Case(lambda: A.Normalize(mean=0.5, std=(0.3,))),
    "to-float": Case(lambda: A.ToFloat()),
    "to-float-of-1000": Case(lambda: A.ToFloat(max_value=1000)),
    "brightness-contrast": _tone(lambda: A.RandomBrightnessContrast(WIDE, (-0.9, 0.9), p=1)),
    "brightness-of-mean": _tone(lambda: A.RandomBrightnessContrast(WIDE, brightness_by_max=False, p=0.7)),
    "brightness-in-safe-range": _tone(
        lambda: A.RandomBrightnessContrast(WIDE, (-1.5, 0.9), ensure_safe_range=True, p=1)
    ),
    "brightness-of-mean-in-safe-range": _tone(
        lambda: A.RandomBrightnessContrast(
            WIDE, (-1.5, 0.9), brightness_by_max=False, ensure_safe_range=True, p=1
        )
    ),
    "gamma": _tone(lambda: A.RandomGamma((30, 300), p=0.8)),
    "gamma-of-a-half": _tone(lambda: A.RandomGamma((50, 50), p=1)),
    "jitter": _tone(lambda: A.ColorJitter(p=0.8)),
    "jitter-without-hue": _tone(lambda: A.ColorJitter((0, 3), (0, 3), (0, 3), (0, 0), p=1)),
    "jitter-of-zero": _tone(lambda: A.ColorJitter((1, 1), (0, 0), (0, 0), (0.1, 0.1), p=1)),
    "jitter-of-hue": _tone(lambda: A.ColorJitter((1, 1), (1, 1), (1, 1), (-0.5, 0.5), p=1)),
}
