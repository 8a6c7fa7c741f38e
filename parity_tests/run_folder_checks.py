"""What the end of a fit must leave, whichever framework trained: held against the image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lightning_impl.data.index import index_folder
from lightning_impl.report.run_files import RunFiles
from parity_common.run_folder import CLOSING_FILES, RunFolder
from parity_common.run_pictures import AUGMENTATIONS, AUGMENTED_IMAGES, shown_items


def check_closing_files(run: RunFolder, root: Path, side: int) -> None:
    """Predictions, confusion matrix and pictures are of these files, and no closing file is missing.

    Args:
        run: Of a fit that augments.
        root: Its class folders, split at 0.2.
        side: Of its square images, in pixels, small enough to be kept as they are.
    """
    files, index = RunFiles(run), index_folder(root, 0.2)
    assert files.predictions
    assert files.confusion
    assert files.mistakes is not None
    assert files.augmentation
    left = {path.name for path in run.path.iterdir()} & set(CLOSING_FILES)
    # Where nothing is wrong there is nothing to show.
    assert left | {"mistakes.png"} == set(CLOSING_FILES)
    assert ("mistakes.png" in left) == bool(files.mistakes)

    validation = index.places(validation=True)
    assert [row.file for row in files.predictions] == [index.files[place] for place in validation]
    assert [row.true for row in files.predictions] == [index.class_names[index.labels[i]] for i in validation]
    names, counts = files.confusion
    again = np.zeros_like(counts)
    for row in files.predictions:
        again[names.index(row.true), names.index(row.predicted)] += 1
        # The most probable of so many.
        assert 1 / len(names) <= row.probability <= 1
    np.testing.assert_array_equal(again, counts)
    assert files.result["best_val_accuracy"] == pytest.approx(np.trace(counts) / counts.sum(), abs=1e-6)

    for row, tile in files.mistakes:
        np.testing.assert_array_equal(np.asarray(tile), _decoded(root / row.file, side))
    training = index.places(validation=False)
    shown, _ = shown_items(len(training), AUGMENTED_IMAGES, AUGMENTATIONS, None)
    for place, tiles in zip(shown, files.augmentation, strict=True):
        original = _decoded(root / index.files[training[place]], side)
        np.testing.assert_array_equal(np.asarray(tiles[0]), original)
        assert all((np.asarray(tile) != original).any() for tile in tiles[1:])


def _decoded(path: Path, side: int) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.NEAREST))
