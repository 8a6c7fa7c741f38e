"""Whole batches of cached images, in an order that only the seed and the epoch decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler


class CachedImages(Dataset):
    """Cached images and labels, fetched a batch at a time.

    Args:
        images: `(N, H, W, 3)` uint8, usually mapped from disk.
        labels: N class numbers.
        places: Which rows belong to this part of the split.
    """

    def __init__(self, images: NDArray[np.uint8], labels: Sequence[int], places: Sequence[int]) -> None:
        self.images = images
        self.labels = np.asarray(labels, dtype=np.int64)
        self.places = np.asarray(places, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.places)

    def __getitems__(self, items: list[int]) -> tuple[Tensor, Tensor]:
        """One batch: images `(B, H, W, 3)` uint8 and labels `(B,)` int64.

        torch's fetcher calls this with a whole batch of indices, which spares a Python loop over images.
        """
        rows = self.places[items]
        return torch.from_numpy(self.images[rows]), torch.from_numpy(self.labels[rows])


class EpochSampler(Sampler[int]):
    """A new permutation each epoch, from (seed, epoch) alone.

    Lightning calls `set_epoch` before each epoch, so a resumed run goes on with the order it would have had.

    Args:
        size: Number of items.
        seed: Of the whole run.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.default_rng([self.seed, self.epoch]).permutation(self.size).tolist())


def as_is(batch: Any) -> Any:
    """The collate function of a dataset that already gives batches."""
    return batch
