"""The data of a fit: a folder of class folders, or the stand-in set when none is given."""

from __future__ import annotations

import hashlib
import warnings
from functools import cached_property
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from lightning_impl.data.batches import (
    CachedImages,
    EpochSampler,
    as_is,
    end_workers,
    leave_stopping_to_the_fit,
)
from lightning_impl.data.cache import open_cache
from lightning_impl.data.index import ImageIndex, index_folder
from lightning_impl.data.stand_in import CLASS_NAMES
from lightning_impl.data.stand_in.draw import MOST_IMAGES_PER_CLASS
from parity_common.cache_folder import STAND_IN_SEED, cache_root, stand_in_folder
from parity_common.class_folders import list_classes
from parity_common.command_errors import UserError
from parity_common.progress import track


class ImageData(LightningDataModule):
    """Training and validation batches: images `(B, H, W, 3)` uint8 RGB and labels `(B,)` int64.

    Args:
        root: A folder of class folders. None: the stand-in set is drawn once and used.
        stand_in_per_class: Images a class of the stand-in set, 2 to 9,999.
        image_size: Height and width in pixels after PIL-nearest resizing.
        batch_size: Images a step.
        validation_split: In (0, 1): the first part of each class's sorted files is validation.
        subset_per_class: Images a class to keep, drawn before the split. None keeps all.
        subset_seed: Draws the subset.
        num_workers: Processes that fetch batches; 0 fetches in the training process.
        cache_dir: Where decoded images and the stand-in set lie. None: the user's cache folder.
        seed: Decides the order of training batches; the command line links it to seed_everything.

    Raises:
        UserError: A value out of range.
    """

    def __init__(
        self,
        root: str | None = None,
        stand_in_per_class: int = 200,
        image_size: tuple[int, int] = (64, 64),
        batch_size: int = 32,
        validation_split: float = 0.2,
        subset_per_class: int | None = None,
        subset_seed: int = 0,
        num_workers: int = 0,
        cache_dir: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check_range("stand_in_per_class", stand_in_per_class, 2)
        if stand_in_per_class > MOST_IMAGES_PER_CLASS:
            raise UserError(
                f"data.stand_in_per_class is {stand_in_per_class}: give {MOST_IMAGES_PER_CLASS} or less"
            )
        _check_range("batch_size", batch_size, 1)
        _check_range("num_workers", num_workers, 0)
        _check_range("subset_seed", subset_seed, 0)
        if subset_per_class is not None:
            _check_range("subset_per_class", subset_per_class, 2)
        if min(image_size) < 1:
            raise UserError(f"data.image_size is {list(image_size)}: give height and width in pixels")
        if not 0 < validation_split < 1:
            raise UserError(f"data.validation_split is {validation_split}: give a share between 0 and 1")
        self.root = Path(root).expanduser() if root is not None else None
        self.stand_in_per_class = stand_in_per_class
        self.image_size = image_size
        self.batch_size = batch_size
        self.validation_split = validation_split
        self.subset_per_class = subset_per_class
        self.subset_seed = subset_seed
        self.num_workers = num_workers
        self.cache_root = cache_root(cache_dir)
        self.seed = seed
        self.saved_batches: dict[str, Any] = {}
        self.loaders: list[DataLoader] = []
        # At its exit Python asks workers to end with a signal that they ignore, and would wait for ever. This
        # comes before it closes their queues, which is of priority 10.
        Finalize(None, end_workers, args=(self.loaders,), exitpriority=20)

    @cached_property
    def class_names(self) -> list[str]:
        """The classes in label order; known before anything is drawn or decoded."""
        return list(CLASS_NAMES if self.root is None else list_classes(self.root))

    @cached_property
    def index(self) -> ImageIndex:
        """The files and their split; needs the stand-in set to be drawn."""
        return index_folder(self._folder, self.validation_split, self.subset_per_class, self.subset_seed)

    def prepare_data(self) -> None:
        """Draws the stand-in set where it is needed and decodes the images into the cache."""
        if self.root is None:
            from lightning_impl.data.stand_in.draw_set import draw_set

            draw_set(self._folder, self.stand_in_per_class, STAND_IN_SEED)
        self._images()

    def setup(self, stage: str) -> None:
        images = self._images()
        labels = self.index.labels
        self.training = CachedImages(images, labels, self.index.places(validation=False))
        self.validation = CachedImages(images, labels, self.index.places(validation=True))

    def state_dict(self) -> dict[str, Any]:
        """What decides an epoch's batches, for a checkpoint."""
        files = [self.index.files[place] for place in self.training.places]
        return {
            "data.batch_size": self.batch_size,
            "seed_everything": self.seed,
            "the training images": hashlib.sha256("\n".join(files).encode()).hexdigest()[:16],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.saved_batches = state_dict

    def teardown(self, stage: str) -> None:
        end_workers(self.loaders)

    def train_dataloader(self) -> DataLoader:
        """Batches of the epoch that comes, or goes on in the middle.

        Raises:
            UserError: The epoch that goes on had begun with other batches.
        """
        sampler = EpochSampler(len(self.training), self.seed)
        if self.trainer is not None:
            loop = self.trainer.fit_loop
            batches = loop.epoch_loop.batch_progress.current.ready if loop.restarting else 0
            if batches:
                self._check_same_batches()
                # Lightning warns of every loader that does not save its own state.
                warnings.filterwarnings(
                    "ignore", message="You're resuming from a checkpoint that ended before"
                )
            sampler.start_at(self.trainer.current_epoch, batches * self.batch_size)
        return self._loader(self.training, sampler)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.validation, None)

    @property
    def _folder(self) -> Path:
        if self.root is not None:
            return self.root
        return stand_in_folder(self.cache_root, STAND_IN_SEED, self.stand_in_per_class)

    def _images(self):
        return open_cache(self.index, self.image_size, self.cache_root / "decoded", track("decoding"))

    def _check_same_batches(self) -> None:
        for name, now in self.state_dict().items():
            if self.saved_batches.get(name, now) != now:
                raise UserError(
                    f"the run stopped in the middle of an epoch and {name} changed since: "
                    "go on with what it had, or start anew without --resume"
                )

    def _loader(self, part: CachedImages, sampler: EpochSampler | None) -> DataLoader:
        loader = DataLoader(
            part,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            collate_fn=as_is,
            worker_init_fn=leave_stopping_to_the_fit,
        )
        self.loaders.append(loader)
        return loader


def _check_range(name: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"data.{name} is {value}: give {least} or more")
