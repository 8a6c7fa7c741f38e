"""What a port does with images, a method for each thing that rung 8 asks of it: ours, by lightning_impl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_impl.augment import KerasAffine, KerasBrightness, KerasChannelShift, keras_pipeline
from lightning_impl.augment.affine import AffineParameters
from lightning_impl.augment.batched import keras_operations
from lightning_impl.augment.sampling import Draws, stream_keys
from lightning_impl.augment.standardise import Standardise
from lightning_impl.data.decode import decode_image
from lightning_impl.data.index import ImageIndex, index_folder
from lightning_impl.data.keras_order import keras_epoch_order
from lightning_impl.keras_semantics.profile import PROFILES
from porting.data_trace import DataTrace

AFFINE = ("theta", "tx", "ty", "shear", "zx", "zy")


class DataPort:
    """Our data path, by the trace's settings. A port of another making overrides what it does otherwise.

    Args:
        trace: Its settings are read, never its answers.
    """

    def __init__(self, trace: DataTrace) -> None:
        self.settings = trace.augment
        self.profile = PROFILES[trace.profile]
        self.image_size = trace.image_size
        self.validation_split = trace.validation_split
        self.batch = trace.batch
        self.order_seed = trace.order_seed
        self.seed = trace.seed
        self.pipeline = keras_pipeline(self.settings, self.profile)

    def index(self, root: Path) -> ImageIndex:
        """Classes, files and split of a folder."""
        return index_folder(root, self.validation_split)

    def decode(self, path: Path) -> NDArray[np.uint8]:
        """`(H, W, 3)` at the image size."""
        return decode_image(path, self.image_size)

    def augment(self, images: NDArray[np.uint8], parameters: list[dict[str, Any]]) -> NDArray[np.float32]:
        """Image i by ImageDataGenerator's parameters i, in a batch: `(N, H, W, 3)` of 0-255."""
        drawn = {name: np.array([each[name] for each in parameters], float) for name in AFFINE}
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        affine = KerasAffine(
            fill_mode=self.settings.fill_mode,
            cval=self.settings.cval,
            profile=self.profile.name,  # type: ignore[arg-type]
        )
        flips = {
            name: np.array([bool(each[name]) for each in parameters])
            for name in ("flip_horizontal", "flip_vertical")
        }
        pixels = keras_operations.Affine(affine).apply(pixels, AffineParameters(**drawn, **flips))
        if parameters[0]["channel_shift_intensity"] is not None:
            shifts = np.array([each["channel_shift_intensity"] for each in parameters], float)
            pixels = keras_operations.ChannelShift(KerasChannelShift()).apply(pixels, shifts)
        if parameters[0]["brightness"] is not None:
            factors = np.array([each["brightness"] for each in parameters], float)
            brightness = KerasBrightness(profile=self.profile.name)  # type: ignore[arg-type]
            pixels = keras_operations.Brightness(brightness).apply(pixels, factors)
        return pixels.permute(0, 2, 3, 1).contiguous().numpy()

    def draw(self, count: int) -> dict[str, NDArray[np.float64]]:
        """What it draws for `count` images, by ImageDataGenerator's names; what does not vary may lack."""
        draws = Draws(stream_keys(self.seed, 0, np.arange(count)))
        rows = draws.all_rows
        drawn: dict[str, NDArray[np.float64]] = {}
        for transform in self.pipeline.transforms:
            if isinstance(transform, KerasAffine):
                affine = keras_operations.Affine(transform).draw(draws, rows, self.image_size)
                drawn |= {name: np.asarray(values, float) for name, values in affine._asdict().items()}
            elif isinstance(transform, KerasChannelShift):
                limit = transform.channel_shift_range
                drawn["channel_shift_intensity"] = draws.uniform(-limit, limit, rows)
            elif isinstance(transform, KerasBrightness):
                drawn["brightness"] = draws.uniform(*transform.brightness_range, rows)
            else:
                flip = {"HorizontalFlip": "flip_horizontal", "VerticalFlip": "flip_vertical"}
                drawn[flip[type(transform).__name__]] = (draws.random(rows) < transform.p).astype(float)
        return drawn

    def standardise(self, images: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the net is given of each image, before augmentation; statistics are those of `training`."""
        module = Standardise(self.settings, self.profile, self.image_size)
        module.fit([torch.from_numpy(training)])
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        return module(pixels).permute(0, 2, 3, 1).contiguous().numpy()

    def order(self, epoch: int, images: int) -> NDArray[np.int64]:
        """The order in which Keras's flow(seed=...) would give the images of an epoch."""
        return keras_epoch_order(self.order_seed, epoch, images, self.batch)
