"""Which images a folder of class folders holds, their labels, and the split: Keras's rules."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parity_common.class_folders import IMAGE_SUFFIXES, list_classes, list_images, validation_count
from parity_common.command_errors import UserError
from parity_common.subset import choose_subset


@dataclass(frozen=True)
class ImageIndex:
    """The images of one folder, in Keras's order, and which of them validate.

    Attributes:
        root: The folder of class folders.
        class_names: In label order.
        files: Paths below `root`, class by class.
        labels: One class number a file.
        is_validation: One flag a file.
    """

    root: Path
    class_names: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    is_validation: tuple[bool, ...]

    def places(self, validation: bool) -> list[int]:
        """The places in `files` of one part of the split, in order."""
        return [place for place, flag in enumerate(self.is_validation) if flag is validation]

    def counts(self) -> dict[str, tuple[int, int]]:
        """By class, in label order: how many images train and how many validate."""
        found = {name: [0, 0] for name in self.class_names}
        for label, validates in zip(self.labels, self.is_validation, strict=True):
            found[self.class_names[label]][validates] += 1
        return {name: (training, validating) for name, (training, validating) in found.items()}

    def training_digest(self) -> str:
        """Equal where the training images have the same names in the same order, wherever the folder lies."""
        names = "\n".join(self.files[place] for place in self.places(validation=False))
        # Names that are no UTF-8 are kept as the bytes they are.
        return hashlib.sha256(os.fsencode(names)).hexdigest()[:16]


def index_folder(
    root: Path,
    validation_split: float,
    subset_per_class: int | None = None,
    subset_seed: int = 0,
    classes: Sequence[str] | None = None,
) -> ImageIndex:
    """Lists, subsets and splits a folder.

    Args:
        root: The folder of class folders.
        validation_split: In (0, 1); of each class's kept files the first `validation_count` validate.
        subset_per_class: Images a class to keep, None for all.
        subset_seed: Draws the subset.
        classes: The class folders to use, in label order. None: all, sorted.

    Raises:
        UserError: No such folder, no class folders, a class without images, or a part without any image.
    """
    class_names = list_classes(root, classes)
    files: list[str] = []
    labels: list[int] = []
    is_validation: list[bool] = []
    empty = []
    for label, name in enumerate(class_names):
        images = list_images(root / name)
        if not images:
            empty.append(name)
            continue
        kept = choose_subset(len(images), subset_per_class, subset_seed, label)
        validating = validation_count(len(kept), validation_split)
        files += [os.path.join(name, images[place]) for place in kept]
        labels += [label] * len(kept)
        is_validation += [number < validating for number in range(len(kept))]
    if empty:
        raise UserError(
            f"no images in class folder {root / empty[0]}"
            + (f" and {len(empty) - 1} more" if len(empty) > 1 else "")
            + f": add some ({', '.join(IMAGE_SUFFIXES)}) or remove the folder, which Keras counts as a class"
        )
    index = ImageIndex(root, class_names, tuple(files), tuple(labels), tuple(is_validation))
    for validation, part in ((False, "training"), (True, "validation")):
        if not index.places(validation):
            raise UserError(
                f"no {part} image: {root} has {len(files)} images in {len(class_names)} classes and "
                f"data.validation_split is {validation_split}; add images or change the split"
            )
    return index
