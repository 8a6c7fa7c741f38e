"""The pictures a finished run keeps, so that its page can be made without the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parity_common.contact_sheet import save_contact_sheet
from parity_common.predictions import Prediction, most_confident_mistakes
from parity_common.run_folder import RunFolder

MOST_MISTAKES = 24
MISTAKE_COLUMNS = 6
# Training images whose augmentations are shown, and how many of each.
AUGMENTED_IMAGES = 4
AUGMENTATIONS = 7


def write_mistakes(
    run: RunFolder, predictions: Sequence[Prediction], images: NDArray[np.uint8], places: NDArray[np.int64]
) -> None:
    """mistakes.png: the most confident mistakes in their order; no file where nothing is wrong.

    Args:
        run: Whose.
        predictions: N of them, in the order of the validation images.
        images: `(M, H, W, 3)` RGB of 0-255 that hold the validation images.
        places: `(N,)` which of `images` they are.
    """
    mistakes = most_confident_mistakes(predictions, MOST_MISTAKES)
    if mistakes:
        save_contact_sheet(run.path / "mistakes.png", images[places[mistakes]], MISTAKE_COLUMNS)


def shown_items(
    count: int, images: int, augmentations: int, expand: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which training images a picture of augmentation shows, and as which items of the first epoch.

    An item is image i of n, augmented for the k-th time: k n + i. Where an image has fewer augmentations an
    epoch the further ones are drawn alike.

    Args:
        count: Training images, n.
        images: How many of them to show, spread over all.
        augmentations: How many of each.
        expand: As in the config: the first item of each image stays as it is.

    Returns:
        `(R,)` images and `(R, augmentations)` items.
    """
    shown = np.linspace(0, count - 1, min(images, count)).astype(np.int64)
    turns = np.arange(augmentations) + (1 if expand else 0)
    return shown, shown[:, None] + turns * count


def write_augmentation(run: RunFolder, originals: NDArray[np.uint8], augmented: NDArray) -> None:
    """augmentation.png: a row for each image, first as it is, then augmented.

    Args:
        run: Whose.
        originals: `(R, H, W, 3)` RGB of 0-255.
        augmented: `(R, AUGMENTATIONS, H, W, 3)` of 0-255, any dtype; what goes beyond is cut off.
    """
    levels = np.clip(np.rint(augmented), 0, 255).astype(np.uint8)
    rows = np.concatenate([originals[:, None], levels], axis=1)
    sheet = rows.reshape(-1, *originals.shape[1:])
    save_contact_sheet(run.path / "augmentation.png", sheet, AUGMENTATIONS + 1)
