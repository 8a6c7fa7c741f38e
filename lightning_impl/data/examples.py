"""Some training images and what a fit's augmentation makes of them, for pictures of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_impl.data.batches import Picks
from lightning_impl.data.datamodule import ImageData
from parity_common.run_pictures import shown_items


class Examples(NamedTuple):
    """R training images, C augmentations of each.

    Attributes:
        originals: `(R, H, W, 3)` uint8.
        items: `(R, C)` places in the first epoch's unshuffled order.
        augmented: `(R, C, H, W, 3)` float32 of 0-255.
    """

    originals: NDArray[np.uint8]
    items: NDArray[np.int64]
    augmented: NDArray[np.float32]


def augmented_examples(data: ImageData, images: int, augmentations: int) -> Examples:
    """The first augmentations of a few images, spread over the training set.

    Args:
        data: Set up, with something random in its `augment`.
        images: How many to show.
        augmentations: How many of each.
    """
    assert data.augmenter is not None
    places = data.training.places
    shown, items = shown_items(len(places), images, augmentations, data.expand)
    originals = data.image_set.open_images()[places[shown]]
    repeated = torch.from_numpy(np.repeat(originals, augmentations, axis=0))
    augmented = data.augmenter.on_device(repeated, Picks(0, items.ravel(), True)).numpy()
    return Examples(originals, items, augmented.reshape(*items.shape, *originals.shape[1:]))
