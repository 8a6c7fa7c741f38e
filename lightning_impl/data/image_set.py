"""Which images a fit has: a folder of class folders, the drawn stand-in, or a downloaded set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_impl.data.cache import open_cache, open_digests
from lightning_impl.data.decode import DamagedImage
from lightning_impl.data.index import ImageIndex, index_folder
from lightning_impl.data.sources import prepare_source
from lightning_impl.data.stand_in import CLASS_NAMES
from lightning_impl.data.stand_in.draw import MOST_IMAGES_PER_CLASS
from parity_common.cache_folder import STAND_IN_SEED, stand_in_folder
from parity_common.class_folders import chosen_classes, list_classes
from parity_common.command_errors import UserError
from parity_common.data_sources import Source, check_source
from parity_common.progress import track
from parity_common.special_files import audit_command, refuse_special_files
from parity_common.start_lines import start_lines


@dataclass(frozen=True)
class ImageSet:
    """The images of a config's `data`, listed, split and decoded once.

    Attributes:
        root: A folder of class folders. None: `source` is used.
        source: Which set where `root` is None.
        stand_in_per_class: Images a class of the stand-in set, 2 to 9,999.
        image_size: Height and width in pixels after PIL-nearest resizing.
        validation_split: In (0, 1): the first part of each class's sorted files is validation.
        subset_per_class: Images a class to keep, drawn before the split. None keeps all.
        subset_seed: Draws the subset.
        classes: The classes to use, in label order. None: all, sorted.
        cache_root: Where decoded images and sets lie.

    Raises:
        UserError: A value out of range.
    """

    root: Path | None
    source: Source
    stand_in_per_class: int
    image_size: tuple[int, int]
    validation_split: float
    subset_per_class: int | None
    subset_seed: int
    classes: Sequence[str] | None
    cache_root: Path

    def __post_init__(self) -> None:
        check_least("stand_in_per_class", self.stand_in_per_class, 2)
        if self.stand_in_per_class > MOST_IMAGES_PER_CLASS:
            raise UserError(
                f"data.stand_in_per_class is {self.stand_in_per_class}: give {MOST_IMAGES_PER_CLASS} or less"
            )
        check_least("subset_seed", self.subset_seed, 0)
        if self.subset_per_class is not None:
            check_least("subset_per_class", self.subset_per_class, 2)
        if min(self.image_size) < 1:
            raise UserError(f"data.image_size is {list(self.image_size)}: give height and width in pixels")
        if not 0 < self.validation_split < 1:
            raise UserError(f"data.validation_split is {self.validation_split}: give a share between 0 and 1")
        check_source(self.source)

    @cached_property
    def class_names(self) -> list[str]:
        """The classes in label order; the stand-in's are known before it is drawn, others are prepared."""
        if not self._is_drawn:
            return list(list_classes(self.folder, self.classes))
        return list(CLASS_NAMES if self.classes is None else chosen_classes(CLASS_NAMES, self.classes))

    @cached_property
    def folder(self) -> Path:
        """The folder of class folders; a set to download is downloaded, the stand-in not yet drawn."""
        if self.root is not None:
            return self.root
        if self._is_drawn:
            return stand_in_folder(self.cache_root, STAND_IN_SEED, self.stand_in_per_class)
        return prepare_source(self.source, self.cache_root)

    @cached_property
    def index(self) -> ImageIndex:
        """The files and their split; needs the stand-in set to be drawn."""
        return index_folder(
            self.folder, self.validation_split, self.subset_per_class, self.subset_seed, self.classes
        )

    def make_folder(self) -> None:
        """Draws or downloads the set where it is needed."""
        if self._is_drawn:
            from lightning_impl.data.stand_in.draw_set import draw_set

            draw_set(self.folder, self.stand_in_per_class, STAND_IN_SEED)

    def start_lines(self) -> Iterator[str]:
        """What the folder holds, for the start of a fit."""
        return start_lines(self.folder, self.index.counts(), is_own=self.root is not None)

    def prepare(self) -> None:
        """Draws or downloads the set where it is needed and decodes the images into the cache.

        Raises:
            UserError: One does not decode, or is no file; or the cache cannot be written.
        """
        self.make_folder()
        refuse_special_files(self.folder, self.index.files)
        try:
            self.open_images()
        except DamagedImage as error:
            raise UserError(f"{error}; all such files are listed by {audit_command(self.folder)}") from error

    def open_images(self) -> NDArray[np.uint8]:
        """`(N, H, W, 3)` in the index's order, mapped from the cache."""
        return open_cache(self.index, self.image_size, self.cache_root / "decoded", track("decoding"))

    def digests(self, validation: bool) -> NDArray[np.uint64]:
        """`pixel_digest` of each image of one part of the split, once decoded."""
        digests = open_digests(self.index, self.image_size, self.cache_root / "decoded")
        return digests[self.index.places(validation)]

    @property
    def _is_drawn(self) -> bool:
        return self.root is None and self.source == "stand_in"


def check_least(name: str, value: int, least: int) -> None:
    """Refuses a value of `data.` below the least.

    Raises:
        UserError: It is.
    """
    if value < least:
        raise UserError(f"data.{name} is {value}: give {least} or more")
