"""What a batched pipeline refuses, each by name, all in one error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from batched_cases import ODD, SQUARE, A

from lightning_impl.augment import BatchedCompose, Unsupported

CROP = (20, 30)

# The transform, and what the message must say of it.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "affine-cubic": (lambda: A.Affine(interpolation=cv2.INTER_CUBIC), "Affine: interpolation=2: use cv2"),
    "affine-wrap": (lambda: A.Affine(border_mode=cv2.BORDER_WRAP), "Affine: border_mode=3"),
    "affine-fit": (lambda: A.Affine(fit_output=True), "Affine: fit_output=True"),
    "rotate-nearest": (lambda: A.Rotate(interpolation=cv2.INTER_NEAREST), "Rotate: interpolation=0"),
    "rotate-wrap": (lambda: A.Rotate(border_mode=cv2.BORDER_WRAP), "Rotate: border_mode=3"),
    "rotate-crop": (lambda: A.Rotate(crop_border=True), "Rotate: crop_border=True"),
    "crop-cubic": (lambda: A.RandomResizedCrop(CROP, interpolation=2), "RandomResizedCrop: interpolation=2"),
    "crop-area": (
        lambda: A.RandomResizedCrop(CROP, area_for_downscale="image"),
        "RandomResizedCrop: area_for_downscale='image'",
    ),
    "crop-at-times": (lambda: A.RandomResizedCrop(CROP, p=0.5), "RandomResizedCrop: p=0.5"),
    "turn-not-square": (lambda: A.RandomRotate90(), "RandomRotate90: images of 45 x 67"),
    "transpose-at-times": (lambda: A.Transpose(p=0.5), "Transpose: p=0.5"),
    "dropout-random": (lambda: A.CoarseDropout(fill="random"), "CoarseDropout: fill='random'"),
    "dropout-inpaint": (lambda: A.CoarseDropout(fill="inpaint_ns"), "CoarseDropout: fill='inpaint_ns'"),
    "dropout-fill": (lambda: A.CoarseDropout(fill=(0, 0, 256)), "CoarseDropout: fill=(0.0, 0.0, 256.0)"),
    "dropout-height": (
        lambda: A.CoarseDropout(hole_height_range=(46, 50), hole_width_range=(1, 2)),
        "CoarseDropout: hole_height_range=(46, 50): the holes may be larger",
    ),
    "dropout-width": (
        lambda: A.CoarseDropout(hole_height_range=(0.1, 0.2), hole_width_range=(10, 20)),
        "CoarseDropout: hole_width_range=(10, 20): the holes may be larger",
    ),
    "grey-pca": (lambda: A.ToGray(method="pca"), "ToGray: method='pca'"),
    "grey-lab": (lambda: A.ToGray(method="from_lab"), "ToGray: method='from_lab'"),
    "grey-channels": (lambda: A.ToGray(num_output_channels=1), "ToGray: num_output_channels=1"),
    "normalize-image": (lambda: A.Normalize(normalization="image"), "Normalize: normalization='image'"),
    "normalize-at-times": (lambda: A.Normalize(p=0.5), "Normalize: p=0.5"),
    "to-float-at-times": (lambda: A.ToFloat(p=0.5), "ToFloat: p=0.5"),
    "sequential-at-times": (lambda: A.Sequential([A.Normalize()], p=0.5), "Sequential: p=0.5 changes"),
    "one-of": (lambda: A.OneOf([A.Normalize(), A.ToFloat()], p=1), "OneOf: changes the size or type"),
    "some-of": (lambda: A.SomeOf([A.Transpose(p=1), A.Transpose(p=1)], n=1), "SomeOf: changes the size"),
    "unknown": (lambda: A.GaussianBlur(), "GaussianBlur: not one of Affine, "),
    "subclass": (lambda: A.RandomOrder([A.NoOp()], n=1), "RandomOrder: not one of "),
}
ON_FLOAT = {
    "brightness-contrast": lambda: A.RandomBrightnessContrast(),
    "gamma": lambda: A.RandomGamma(),
    "jitter": lambda: A.ColorJitter(),
    "grey-desaturation": lambda: A.ToGray(method="desaturation"),
}


def _refusal(compose: A.Compose, size: tuple[int, int] = ODD, mode: Any = "faithful") -> str:
    with pytest.raises(Unsupported) as raised:
        BatchedCompose(compose, size, mode=mode)
    return str(raised.value)


@pytest.mark.parametrize("name", list(REFUSED))
def test_argument_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    lines = _refusal(A.Compose([make()])).splitlines()
    assert len(lines) == 2, lines
    assert message in lines[1]


@pytest.mark.parametrize("name", list(ON_FLOAT))
def test_tone_of_float_images_is_refused(name: str) -> None:
    assert "use mode='faithful'" in _refusal(A.Compose([ON_FLOAT[name]()]), mode="float")
    assert "use mode='faithful'" in _refusal(A.Compose([A.Normalize(), ON_FLOAT[name]()]))


def test_shift_scale_rotate_is_refused_as_affine_is() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transform = A.ShiftScaleRotate(interpolation=cv2.INTER_AREA)
    assert "ShiftScaleRotate: interpolation=3" in _refusal(A.Compose([transform]))


@pytest.mark.parametrize(
    "arguments",
    [
        {"bbox_params": A.BboxParams("pascal_voc")},
        {"keypoint_params": A.KeypointParams("xy")},
        {"additional_targets": {"second": "image"}},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_other_targets_are_refused(arguments: dict[str, Any]) -> None:
    assert "give images alone" in _refusal(A.Compose([A.HorizontalFlip()], **arguments))


def test_all_refusals_come_in_one_error() -> None:
    compose = A.Compose(
        [
            A.Affine(interpolation=cv2.INTER_CUBIC, border_mode=cv2.BORDER_WRAP, fit_output=True),
            A.OneOf([A.GaussianBlur(), A.Sequential([A.CoarseDropout(fill="random")])]),
            A.SomeOf([A.ToGray(method="pca", num_output_channels=1), A.RandomRotate90()], n=1),
            A.RandomGamma(),
        ]
    )
    named = [line.split(":")[0].strip() for line in _refusal(compose).splitlines()[1:]]
    assert named == [
        *["Affine"] * 3,
        "GaussianBlur",
        "CoarseDropout",
        *["ToGray"] * 2,
        "RandomRotate90",
    ]


@pytest.mark.parametrize(
    ("transform", "channels", "fault"),
    [
        pytest.param(A.Affine(fill=(1, 2, 3), p=1), 4, "3 fill values for images of 4", id="affine"),
        pytest.param(A.CoarseDropout(fill=(7,), p=1), 3, "1 fill values for images of 3", id="dropout"),
        pytest.param(A.ColorJitter(p=1), 4, "images have 4 channels, not 1 or 3", id="jitter"),
        pytest.param(A.ToGray(p=1), 2, "images have 2 channels, not 1 or 3", id="grey"),
    ],
)
def test_channels_are_checked(transform: Any, channels: int, fault: str) -> None:
    pipeline = BatchedCompose(A.Compose([transform]), SQUARE)
    with pytest.raises(ValueError, match=fault):
        pipeline(torch.zeros(2, *SQUARE, channels, dtype=torch.uint8), 0, np.arange(2))


def test_transpose_swaps_the_sides_of_what_follows() -> None:
    pipeline = BatchedCompose(A.Compose([A.Transpose(p=1)]), ODD)
    assert pipeline.result.size == (67, 45)
