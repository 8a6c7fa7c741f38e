"""The data of a fit: batches of cached images, augmented in workers or on the device."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from multiprocessing.util import Finalize
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from lightning_impl.augment import keras_pipeline
from lightning_impl.data.augmenting import (
    Augmenter,
    AugmentOn,
    Cache,
    Choice,
    choose_augment_on,
    choose_cache,
)
from lightning_impl.data.batches import (
    CachedImages,
    Chunks,
    EpochBatches,
    Picks,
    Shard,
    as_is,
    end_workers,
    start_worker,
)
from lightning_impl.data.image_set import ImageSet, check_least
from lightning_impl.keras_semantics.profile import PROFILES
from parity_common.augment_settings import AugmentSettings, augment_settings
from parity_common.cache_folder import cache_root
from parity_common.command_errors import UserError
from parity_common.config_check import check_seed
from parity_common.data_sources import Source
from parity_common.home_path import home_path
from parity_common.image_memory import check_image_size
from parity_common.primitives import primitives

# What a checkpoint calls the digest of the training images' names.
TRAINING_IMAGES_KEY = "the training images"

# And the digests of their pixels, those of earlier starts of the run among them.
TRAINING_DIGESTS_KEY = "the training images' pixels"

# As a loader gives it: the images are absent where they lie on the device.
Fetched = tuple[Tensor | None, Tensor, Picks]


class ImageData(LightningDataModule):
    """Training and validation batches: images `(B, H, W, 3)` RGB of 0-255 and labels `(B,)` int64.

    Images are uint8, and float32 once they are augmented. Several processes get disjoint parts of each batch:
    `batch_size` counts over all of them, so that a config means the same training on any number.

    Args:
        root: A folder of class folders. None: `source` is used.
        source: Which set where `root` is None: the stand-in is drawn once, the others are downloaded once.
        stand_in_per_class: Images a class of the stand-in set, 2 to 9,999.
        image_size: Height and width in pixels after PIL-nearest resizing.
        batch_size: Images a step, over all processes.
        validation_split: In (0, 1): the first part of each class's sorted files is validation.
        subset_per_class: Images a class to keep, drawn before the split. None keeps all.
        subset_seed: Draws the subset.
        classes: The class folders to use, in label order, as flow_from_directory's `classes`. None: all,
            sorted.
        augment: ImageDataGenerator's arguments; what is random is for training images only.
        expand: Each epoch sees every training image once as it is and so many times less one augmented, 2 or
            more. None: once, augmented, as ImageDataGenerator.flow does.
        expand_mode: online augments anew each epoch; fixed draws once, as writing the images to files would.
        augment_on: workers, one image after the other; device, a batch at once where the net is; or auto.
        cache: Where decoded images lie during a fit: disk, memory, device; or auto.
        num_workers: Processes that fetch batches; 0 fetches in the training process.
        cache_features: Whether the first stage of a fine-tuning runs the frozen backbone once over the
            images, where nothing is drawn at random before the head, and keeps what it gives.
        cache_dir: Where decoded images, features and the stand-in set lie. None: the user's cache folder.
        seed: Decides batch order and augmentation; the command line links it to seed_everything.
        profile: Whose ImageDataGenerator; the command line links it to model.profile.

    Raises:
        UserError: A value out of range.
    """

    def __init__(
        self,
        root: str | None = None,
        source: Source = "stand_in",
        stand_in_per_class: int = 200,
        image_size: tuple[int, int] = (64, 64),
        batch_size: int = 32,
        validation_split: float = 0.2,
        subset_per_class: int | None = None,
        subset_seed: int = 0,
        classes: list[str] | None = None,
        augment: AugmentSettings = AugmentSettings(),  # noqa: B008, frozen
        expand: int | None = None,
        expand_mode: Literal["online", "fixed"] = "online",
        augment_on: AugmentOn = "auto",
        cache: Cache = "auto",
        num_workers: int = 0,
        cache_features: bool = True,
        cache_dir: str | None = None,
        seed: int = 0,
        profile: str = "tf2.4",
    ) -> None:
        super().__init__()
        root, source, stand_in_per_class, image_size, batch_size, validation_split = primitives(
            "data",
            root=root,
            source=source,
            stand_in_per_class=stand_in_per_class,
            image_size=image_size,
            batch_size=batch_size,
            validation_split=validation_split,
        )
        subset_per_class, subset_seed, classes, expand, num_workers, seed = primitives(
            "data",
            subset_per_class=subset_per_class,
            subset_seed=subset_seed,
            classes=classes,
            expand=expand,
            num_workers=num_workers,
            seed=seed,
        )
        augment = augment_settings(augment)
        check_seed("data.subset_seed", subset_seed)
        check_seed("data.seed", seed)
        check_least("batch_size", batch_size, 1)
        check_image_size(image_size, batch_size)
        self.image_set = ImageSet(
            home_path(root) if root is not None else None,
            source,
            stand_in_per_class,
            image_size,
            validation_split,
            subset_per_class,
            subset_seed,
            classes,
            cache_root(cache_dir),
        )
        check_least("num_workers", num_workers, 0)
        if expand is not None:
            check_least("expand", expand, 2)
            if not augment.is_random:
                raise UserError(
                    f"data.expand is {expand}, but data.augment changes nothing: give it a range, or leave "
                    "data.expand out"
                )
        self.batch_size = batch_size
        self.augment = augment
        self.expand = expand
        self.expand_mode = expand_mode
        self.augment_on = augment_on
        self.cache = cache
        self.cache_features = cache_features
        self.num_workers = num_workers
        self.seed = seed
        self.profile = PROFILES[profile]
        self.saved_batches: dict[str, Any] = {}
        self.trained_on_before: Tensor | None = None
        self.training_batches: EpochBatches | None = None
        self.augmenter: Augmenter | None = None
        self.choices: dict[str, Choice] = {}
        self.on_device: Tensor | None = None
        self.features: NDArray | None = None
        self.loaders: list[DataLoader] = []
        # At its exit Python asks workers to end with a signal that they ignore, and would wait for ever. This
        # comes before it closes their queues, which is of priority 10.
        Finalize(None, end_workers, args=(self.loaders,), exitpriority=20)

    @property
    def class_names(self) -> list[str]:
        """The classes in label order."""
        return self.image_set.class_names

    @property
    def images_per_epoch(self) -> int:
        """Training images an epoch sees, augmented ones counted each."""
        return len(self.training) * (self.expand or 1)

    def prepare_data(self) -> None:
        """Draws or downloads the set where it is needed and decodes the images into the cache."""
        self.image_set.prepare()

    def setup(self, stage: str) -> None:
        images, index = self.image_set.open_images(), self.image_set.index
        # Read now: the cache may be gone by the time of a checkpoint.
        self.digests = self.image_set.digests(validation=False)
        device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
        where = choose_cache(self.cache, device, images.nbytes, self.num_workers)
        self.choices = {"cache": where}
        fetched: NDArray[np.uint8] | None = np.array(images) if where.value == "memory" else images
        in_worker = None
        if self.augment.is_random:
            self.choices["augment_on"] = choose_augment_on(
                self.augment_on, device.type, self.num_workers, self.image_set.image_size
            )
            places = index.places(validation=False)
            self.augmenter = Augmenter(
                keras_pipeline(self.augment, self.profile),
                self.image_set.image_size,
                self.seed,
                plain=len(places) if self.expand else 0,
                is_fixed=self.expand_mode == "fixed",
            )
            if self.choices["augment_on"].value == "workers":
                in_worker = self.augmenter.in_worker
        if where.value == "device":
            if in_worker is not None:
                raise UserError("data.cache device has no images for workers: give data.augment_on device")
            self.on_device = torch.from_numpy(np.array(images)).to(device)
            fetched = None
        self.training = CachedImages(fetched, index.labels, index.places(validation=False), in_worker)
        self.validation = CachedImages(fetched, index.labels, index.places(validation=True))
        if len(self.validation) < self._shard.processes:
            raise UserError(
                f"{len(self.validation)} validation images are fewer than {self._shard.processes} processes: "
                "give --trainer.devices less"
            )

    def describe(self) -> str:
        """Where images lie and where augmentation runs, and why: a line for the run's log."""
        return "; ".join(f"{name} {choice.value} ({choice.reason})" for name, choice in self.choices.items())

    def state_dict(self) -> dict[str, Any]:
        """What decides an epoch's batches, for a checkpoint."""
        return {
            "data.batch_size": self.batch_size,
            "data.expand": self.expand,
            "data.expand_mode": self.expand_mode,
            "data.augment": repr(self.augment),
            "seed_everything": self.seed,
            TRAINING_IMAGES_KEY: self.image_set.index.training_digest(),
            TRAINING_DIGESTS_KEY: self._trained_on,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.saved_batches = dict(state_dict)
        self.trained_on_before = self.saved_batches.pop(TRAINING_DIGESTS_KEY, None)

    @cached_property
    def _trained_on(self) -> Tensor:
        """`pixel_digest` of each image that this run has trained on, `(N,)` int64 of the same bits."""
        now = torch.from_numpy(self.digests.view(np.int64))
        before = self.trained_on_before
        return torch.unique(now if before is None else torch.cat([before, now]))

    def teardown(self, stage: str) -> None:
        end_workers(self.loaders)

    def train_dataloader(self) -> DataLoader:
        """Batches of the epoch that comes, or goes on in the middle.

        Raises:
            UserError: The epoch that goes on had begun with other batches.
        """
        overfit = getattr(self.trainer, "overfit_batches", 0)
        sampler = EpochBatches(self.images_per_epoch, self.batch_size, self.seed, self._shard, overfit > 0)
        if self.trainer is not None:
            loop = self.trainer.fit_loop
            batches = loop.epoch_loop.batch_progress.current.ready if loop.restarting else 0
            if batches:
                self._check_same_batches()
                # Lightning warns of every loader that does not save its own state.
                warnings.filterwarnings(
                    "ignore", message="You're resuming from a checkpoint that ended before"
                )
            sampler.start_at(self.trainer.current_epoch, batches)
        self.training_batches = sampler
        return self._loader(self.training, sampler)

    def training_chunks(self, images: int) -> Sequence[Tensor]:
        """The training images as they are, `(images, H, W, 3)` uint8 each but the last."""
        return Chunks(self.image_set.open_images(), self.training.places, images)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.validation, self._in_order(self._shard))

    def use_features(self, features: NDArray | None, until_epoch: int) -> None:
        """Gives batches features instead of images in the first epochs of a fit.

        Args:
            features: `(N, C)`, a row for each image of the index; None: images from the start.
            until_epoch: The first epoch of images.
        """
        self.features = features
        for part in (self.training, self.validation):
            part.images_from = until_epoch

    def validation_in_one_process(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """All of the validation images and labels, in order, in batches on a device."""
        batches = self._in_order(Shard())
        # Of images, whatever net they are for.
        batches.start_at(self.validation.images_from, 0)
        for images, labels, picks in self._loader(self.validation, batches):
            yield self.finish((None if images is None else images.to(device), labels.to(device), picks))

    def on_after_batch_transfer(self, batch: Fetched | Tensor, dataloader_idx: int) -> Any:
        # Lightning sends the model's example input through here, for its table.
        return batch if isinstance(batch, Tensor) else self.finish(batch)

    @torch.no_grad()
    def finish(self, batch: Fetched) -> tuple[Tensor, Tensor]:
        """Images and labels of a batch from a loader: what is left to do on the device.

        Images that lie there are fetched, and those of a training batch augmented, if no worker has done so.
        """
        images, labels, picks = batch
        part = self.training if picks.is_training else self.validation
        if self.features is not None and picks.epoch < part.images_from:
            return torch.from_numpy(self.features[part.rows(picks)]).to(labels.device), labels
        if images is None:
            assert self.on_device is not None
            images = self.on_device[torch.from_numpy(part.rows(picks)).to(self.on_device.device)]
        if picks.is_training and self.augmenter is not None and part.augment is None:
            images = self.augmenter.on_device(images, picks)
        return images, labels

    @property
    def _shard(self) -> Shard:
        return (
            Shard(self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else Shard()
        )

    def _in_order(self, shard: Shard) -> EpochBatches:
        return EpochBatches(len(self.validation), self.batch_size, None, shard)

    def _check_same_batches(self) -> None:
        for name, now in self.state_dict().items():
            if name == TRAINING_DIGESTS_KEY:
                continue
            if self.saved_batches.get(name, now) != now:
                raise UserError(
                    f"the run stopped in the middle of an epoch and {name} changed since: "
                    "go on with what it had, or start anew without --resume"
                )

    def _loader(self, part: CachedImages, batches: EpochBatches) -> DataLoader:
        loader = DataLoader(
            part,
            # A sampler of whole batches: Lightning tells it, and no batch sampler, of each epoch.
            sampler=batches,
            batch_size=None,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            collate_fn=as_is,
            worker_init_fn=start_worker,
        )
        self.loaders.append(loader)
        return loader
