"""Where a fit's augmentation runs, and how it runs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_impl.augment import BatchedCompose
from lightning_impl.augment.batched.compose import apply_to_images
from lightning_impl.data.batches import Picks
from parity_common.command_errors import UserError

AugmentOn = Literal["auto", "workers", "device"]
# On a CPU, one thread: see choose_augment_on.
LARGEST_PIXELS_IN_BATCHES = 64 * 64
Cache = Literal["auto", "disk", "memory", "device"]


@dataclass(frozen=True)
class Choice:
    """What `auto` came to, or what was asked for.

    Attributes:
        value: Where.
        reason: For the run's log.
    """

    value: str
    reason: str


def choose_augment_on(
    setting: AugmentOn, device_type: str, num_workers: int, image_size: tuple[int, int]
) -> Choice:
    """Where augmentation runs.

    The figures behind it are in docs/benchmarks.md (`python benchmarks/augment.py`).

    Args:
        setting: data.augment_on.
        device_type: torch's name, such as cpu or cuda.
        num_workers: data.num_workers.
        image_size: Height and width in pixels.
    """
    if setting != "auto":
        return Choice(setting, "asked for")
    if device_type != "cpu":
        return Choice("device", f"batches lie on {device_type}")
    if num_workers > 0:
        return Choice("workers", f"{num_workers} workers leave the training process its time")
    # Measured on a CPU: batches 17,164 images/s against 12,218 at 64 x 64, 3,852 against 5,055 at 128 x 128.
    if image_size[0] * image_size[1] <= LARGEST_PIXELS_IN_BATCHES:
        return Choice("device", "without workers, a CPU is faster by batches up to 64 x 64 pixels")
    return Choice("workers", "a CPU is faster image by image above 64 x 64 pixels, without workers too")


def choose_cache(setting: Cache, device: torch.device, num_bytes: int, num_workers: int) -> Choice:
    """Where decoded images lie during a fit.

    Args:
        setting: data.cache.
        device: That trains.
        num_bytes: Of all decoded images.
        num_workers: data.num_workers.

    Raises:
        UserError: The device was asked for, and workers too.
    """
    size = f"{num_bytes / 2**20:,.0f} MiB"
    if setting == "device" and num_workers:
        raise UserError(
            f"data.cache device leaves nothing for data.num_workers {num_workers} to do: give 0 of them"
        )
    if setting != "auto":
        return Choice(setting, f"asked for, {size}")
    if device.type == "cuda" and not num_workers:
        free, _ = torch.cuda.mem_get_info(device)
        if num_bytes < free / 4:
            return Choice("device", f"{size} of {free / 2**30:,.0f} GiB free on the device")
    return Choice("disk", f"{size}, mapped")


class Augmenter:
    """A pipeline for the batches of a fit, image by image in a worker or all at once on the device.

    Args:
        compose: The pipeline, for float32 images of 0-255.
        image_size: Height and width in pixels.
        seed: Of the run.
        plain: The first so many images of an epoch's unshuffled order stay as they are.
        is_fixed: Whether every epoch sees the same augmented images.

    Raises:
        lightning_impl.augment.Unsupported: The pipeline cannot run in batches.
    """

    def __init__(
        self, compose: A.Compose, image_size: tuple[int, int], seed: int, plain: int, is_fixed: bool
    ) -> None:
        self.compose = compose
        self.batched = BatchedCompose(compose, image_size, seed, "float")
        self.seed = seed
        self.plain = plain
        self.is_fixed = is_fixed

    def in_worker(self, images: NDArray[np.uint8], picks: Picks) -> NDArray[np.float32]:
        """`(B, H, W, 3)` uint8 to float32 of 0-255, by Albumentations itself."""
        epoch = 0 if self.is_fixed else picks.epoch
        exact = images.astype(np.float32)
        drawn = np.flatnonzero(picks.indices >= self.plain)
        augmented = apply_to_images(self.compose, exact[drawn], self.seed, epoch, picks.indices[drawn])
        for place, image in zip(drawn, augmented, strict=True):
            exact[place] = image
        return exact

    def on_device(self, images: Tensor, picks: Picks) -> Tensor:
        """The same for a tensor, on its device."""
        epoch = 0 if self.is_fixed else picks.epoch
        drawn = np.flatnonzero(picks.indices >= self.plain)
        if len(drawn) == len(images):
            return self.batched(images, epoch, picks.indices)
        exact = images.float()
        if len(drawn):
            places = torch.from_numpy(drawn).to(images.device)
            exact[places] = self.batched(exact[places], epoch, picks.indices[drawn])
        return exact
