"""The order in which ImageDataGenerator's flow gives images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def keras_epoch_order(seed: int, epoch: int, images: int, batch_size: int) -> NDArray[np.int64]:
    """The shuffled order of one epoch of `flow(..., shuffle=True, seed=seed)`, as `next` gives it.

    numpy is seeded anew for each batch with the seed plus the batches seen, and shuffles at the first of an
    epoch (keras-preprocessing 1.1.2 image/iterator.py and keras 3.15 legacy/preprocessing/image.py,
    `_flow_index`). `fit` on a flow shuffles between epochs with whatever state augmentation left: an order
    that nothing outside of that process can repeat.

    Args:
        seed: flow's.
        epoch: From 0.
        images: How many there are.
        batch_size: flow's.

    Returns:
        `(images,)` places.
    """
    batches = -(-images // batch_size)
    return np.random.RandomState(seed + epoch * batches).permutation(images).astype(np.int64)
