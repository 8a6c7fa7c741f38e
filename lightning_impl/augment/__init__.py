"""Augmentation: ImageDataGenerator's as Albumentations transforms, and Albumentations pipelines in batches.

from lightning_impl.augment import KerasAffine, KerasBrightness, KerasChannelShift
from lightning_impl.augment import BatchedCompose, keras_pipeline
"""

import os

# Albumentations asks the network for its newest version when it is imported: seconds lost behind a closed
# network, and a line to somebody else's server from an open one.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from lightning_impl.augment.batched.compose import (
    BatchedCompose,
    Unsupported,
    apply_to_image,
    apply_to_images,
)
from lightning_impl.augment.from_keras import keras_parameters, keras_pipeline
from lightning_impl.augment.transforms import KerasAffine, KerasBrightness, KerasChannelShift

__all__ = [
    "BatchedCompose",
    "KerasAffine",
    "KerasBrightness",
    "KerasChannelShift",
    "Unsupported",
    "apply_to_image",
    "apply_to_images",
    "keras_parameters",
    "keras_pipeline",
]
