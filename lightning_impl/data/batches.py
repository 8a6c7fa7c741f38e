"""Whole batches of cached images, in an order that only the seed and the epoch decide."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from lightning.pytorch.utilities import CombinedLoader
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, SequentialSampler


class Picks(NamedTuple):
    """Which images of an epoch make one batch.

    Attributes:
        epoch: From 0.
        indices: `(B,)` places in the epoch's unshuffled order: image i of n, augmented for the k-th time, is
            k n + i.
        is_training: Whether they are training images; else of the validation part.
    """

    epoch: int
    indices: NDArray[np.int64]
    is_training: bool


@dataclass(frozen=True)
class Shard:
    """One process's part of each batch.

    Attributes:
        rank: This process, from 0.
        processes: How many there are.
    """

    rank: int = 0
    processes: int = 1

    def of(self, items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Every `processes`-th item. All shards together are the items, each once."""
        return items[self.rank :: self.processes]


class CachedImages(Dataset):
    """Cached images and labels, fetched a batch at a time.

    Args:
        images: `(N, H, W, 3)` uint8, usually mapped from disk. None: they lie on the device, and a batch has
            none from here.
        labels: N class numbers.
        places: Which rows belong to this part of the split.
        augment: Takes a batch of images and its picks, and gives float32; for augmentation in a worker.
    """

    def __init__(
        self,
        images: NDArray[np.uint8] | None,
        labels: Sequence[int],
        places: Sequence[int],
        augment: Callable[[NDArray[np.uint8], Picks], NDArray[np.float32]] | None = None,
    ) -> None:
        self.images = images
        self.labels = np.asarray(labels, dtype=np.int64)
        self.places = np.asarray(places, dtype=np.int64)
        self.augment = augment
        # Before this epoch a batch has no images from here, but features, see ImageData.use_features.
        self.images_from = 0

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, picks: Picks) -> NDArray[np.int64]:
        """Where a batch's images lie in the cache."""
        return self.places[picks.indices % len(self.places)]

    def __getitem__(self, picks: Picks) -> tuple[Tensor | None, Tensor, Picks]:
        """One batch: images `(B, H, W, 3)`, labels `(B,)` int64, and what was picked."""
        rows = self.rows(picks)
        labels = torch.from_numpy(self.labels[rows])
        if self.images is None or picks.epoch < self.images_from:
            return None, labels, picks
        images = self.images[rows]
        return (
            torch.from_numpy(images if self.augment is None else self.augment(images, picks)),
            labels,
            picks,
        )


class EpochBatches(SequentialSampler):
    """The batches of an epoch, in an order that (seed, epoch) alone decide.

    A fit that goes on in the middle of an epoch has the order it would have had, from the next batch on. Each
    batch says which epoch it is of: a worker's copy of the data set does not see `set_epoch`.

    Sequential by its class alone: for `trainer.overfit_batches` Lightning would put a SequentialSampler,
    which knows no batches, in the place of any other. `is_repeated` does what it wants of one.

    Args:
        size: Items an epoch.
        batch_size: Items a batch over all processes; the last batch may be shorter.
        seed: Of the whole run, for training images. None: validation, in order.
        shard: This process's part.
        is_repeated: Whether every epoch has the first one's order, so that its first batches are the same.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int | None, shard: Shard, is_repeated: bool = False
    ) -> None:
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.shard = shard
        self.is_repeated = is_repeated
        self.epoch = 0
        self.skipped = 0

    def start_at(self, epoch: int, batches: int) -> None:
        """Goes on in `epoch` after its first `batches`; needed before a loader's workers look ahead."""
        self.epoch = epoch
        self.skipped = batches

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of each epoch, the one that goes on included."""
        if epoch != self.epoch:
            self.start_at(epoch, 0)

    def __len__(self) -> int:
        """A whole epoch's batches: from it Lightning knows an epoch's last batch."""
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[Picks]:  # type: ignore[override]
        if self.seed is None:
            order = np.arange(self.size)
        else:
            epoch = 0 if self.is_repeated else self.epoch
            order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
        for batch in range(self.skipped, len(self)):
            whole = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            # Of a last batch with fewer items than processes, some go without: they take its first item, and
            # `share` counts it for nothing.
            mine = self.shard.of(whole) if self.shard.rank < len(whole) else whole[:1]
            yield Picks(self.epoch, mine, self.seed is not None)

    def share(self, batch: int) -> float:
        """What this process's mean loss of a batch counts for, so that the processes' mean is the batch's.

        1 where the batch divides evenly.
        """
        whole = min(self.batch_size, self.size - batch * self.batch_size)
        mine = len(range(self.shard.rank, whole, self.shard.processes))
        return mine * self.shard.processes / whole


class Chunks(Sequence[Tensor]):
    """Some rows of cached images, a chunk at a time; may be gone through more than once.

    Args:
        images: `(N, H, W, 3)` uint8.
        places: Which rows.
        size: Rows a chunk; the last may be smaller.
    """

    def __init__(self, images: NDArray[np.uint8], places: NDArray[np.int64], size: int) -> None:
        self.images = images
        self.places = places
        self.size = size

    def __len__(self) -> int:
        return -(-len(self.places) // self.size)

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return torch.from_numpy(self.images[self.places[number * self.size : (number + 1) * self.size]])


def start_worker(worker: int) -> None:
    """A worker's start: Ctrl-C and SIGTERM often go to a whole process group, and the step under way needs
    its batch. `end_workers` ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Workers are the parallelism.
    cv2.setNumThreads(0)


def end_workers(loaders: list[DataLoader]) -> None:
    """Ends the workers of all these loaders and empties the list."""
    for loader in loaders:
        CombinedLoader(loader).reset()
    loaders.clear()


def as_is(batch: Any) -> Any:
    """The collate function of a dataset that already gives batches."""
    return batch
