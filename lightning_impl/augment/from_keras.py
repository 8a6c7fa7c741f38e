"""ImageDataGenerator's arguments as an Albumentations pipeline."""

from __future__ import annotations

from typing import Any

import albumentations as A
from numpy.typing import NDArray

from lightning_impl.augment.sampling import counter_state
from lightning_impl.augment.transforms import KerasAffine, KerasBrightness, KerasChannelShift
from lightning_impl.keras_semantics.profile import Profile
from parity_common.augment_settings import AugmentSettings


def keras_pipeline(settings: AugmentSettings, profile: Profile) -> A.Compose:
    """What ImageDataGenerator applies at random: affine, channel shift, flips, brightness.

    The affine's warp does the flips as well, where there is one: a channel shift between them does not mind.

    Standardising (`rescale` and the rest) is no part of it: it is the model's, in training and validation
    (lightning_impl/augment/standardise.py).

    Args:
        settings: Its arguments.
        profile: The generator of which generation.

    Returns:
        A pipeline for `(H, W, 3)` float32 images of 0-255; empty where nothing is random. `A.to_dict` and
        `A.from_dict` carry it over.
    """
    transforms: list[A.BasicTransform] = []
    affine = KerasAffine(
        rotation_range=settings.rotation_range,
        width_shift_range=settings.width_shift_range,
        height_shift_range=settings.height_shift_range,
        shear_range=settings.shear_range,
        zoom_range=settings.zoom_factors,
        fill_mode=settings.fill_mode,
        cval=settings.cval,
        profile=profile.name,  # type: ignore[arg-type]
        horizontal_flip=settings.horizontal_flip,
        vertical_flip=settings.vertical_flip,
    )
    moves = (settings.rotation_range, settings.width_shift_range, settings.height_shift_range)
    warps = any(moves) or settings.shear_range or settings.zoom_factors != (1, 1)
    if warps:
        transforms.append(affine)
    if settings.channel_shift_range:
        transforms.append(KerasChannelShift(settings.channel_shift_range))
    if settings.horizontal_flip and not warps:
        transforms.append(A.HorizontalFlip(p=0.5))
    if settings.vertical_flip and not warps:
        transforms.append(A.VerticalFlip(p=0.5))
    if settings.brightness_range is not None:
        transforms.append(KerasBrightness(settings.brightness_range, profile.name))  # type: ignore[arg-type]
    # Shapes would be compared with those of masks, of which there are none.
    return A.Compose(transforms, is_check_shapes=False)


def keras_parameters(compose: A.Compose, image: NDArray, seed: int, epoch: int, index: int) -> dict[str, Any]:
    """What a `keras_pipeline` draws for one image, as ImageDataGenerator.apply_transform takes it.

    Args:
        compose: The pipeline.
        image: `(H, W, 3)`.
        seed: Of the run.
        epoch: From 0.
        index: The image's place in the epoch's unshuffled order.
    """
    recording = A.Compose(compose.transforms, save_applied_params=True)
    recording.set_random_state(*counter_state(seed, epoch, index))  # type: ignore[arg-type]
    found: dict[str, Any] = {
        "theta": 0.0,
        "tx": 0.0,
        "ty": 0.0,
        "shear": 0.0,
        "zx": 1.0,
        "zy": 1.0,
        "flip_horizontal": False,
        "flip_vertical": False,
        "channel_shift_intensity": None,
        "brightness": None,
    }
    for name, drawn in recording(image=image)["applied_transforms"]:
        if name == "KerasAffine":
            found |= {key: float(drawn[key]) for key in ("theta", "tx", "ty", "shear", "zx", "zy")}
            found |= {key: bool(drawn[key]) for key in ("flip_horizontal", "flip_vertical")}
        elif name == "KerasChannelShift":
            found["channel_shift_intensity"] = float(drawn["intensity"])
        elif name == "KerasBrightness":
            found["brightness"] = float(drawn["factor"])
        else:
            found[{"HorizontalFlip": "flip_horizontal", "VerticalFlip": "flip_vertical"}[name]] = True
    return found
