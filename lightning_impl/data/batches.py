"""Whole batches of cached images, in an order that only the seed and the epoch decide."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import CombinedLoader
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler


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

    A fit that goes on in the middle of an epoch has the order it would have had, from the next item on. What
    else is to depend on the epoch, augmentation above all, takes it from here: as (epoch, item) for an item,
    since a worker's copy of the data set does not see `set_epoch`.

    Args:
        size: Number of items.
        seed: Of the whole run.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0
        self.skipped = 0

    def start_at(self, epoch: int, items: int) -> None:
        """Goes on in `epoch` after its first `items` items; needed before a loader's workers look ahead."""
        self.epoch = epoch
        self.skipped = items

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch, the one that goes on included."""
        if epoch != self.epoch:
            self.start_at(epoch, 0)

    def __len__(self) -> int:
        """A whole epoch's items: from it Lightning knows an epoch's last batch."""
        return self.size

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        return iter(order[self.skipped :].tolist())


def leave_stopping_to_the_fit(worker: int) -> None:
    """A worker's start: Ctrl-C and SIGTERM often go to a whole process group, and the step under way needs
    its batch. `end_workers` ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_workers(loaders: list[DataLoader]) -> None:
    """Ends the workers of all these loaders and empties the list."""
    for loader in loaders:
        CombinedLoader(loader).reset()
    loaders.clear()


def as_is(batch: Any) -> Any:
    """The collate function of a dataset that already gives batches."""
    return batch
