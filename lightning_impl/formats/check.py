"""Whether an exported file says what its checkpoint says, on images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_impl.data.datamodule import ImageData
from lightning_impl.data.decode import decode_image
from lightning_impl.formats.deployed import Deployed
from parity_common.command_errors import EXIT_FAILED, Stopped, UserError

MOST_IMAGES = 32
SEED = 2021
# In probability, float32. Measured on photographs, a trained v3 and v1, v2 and v3 of random weights: ONNX
# Runtime, which adds in another order, is off by up to 3.5e-6; BatchNormalization with torch's epsilon
# by 6.7e-4 or more.
LARGEST_DIFFERENCE = 2e-5


@dataclass(frozen=True)
class CheckImages:
    """Inputs of a check.

    Attributes:
        pixels: `(N, H, W, 3)` uint8.
        what: In words.
    """

    pixels: NDArray[np.uint8]
    what: str


def read_images(paths: Sequence[Path], image_size: tuple[int, int], what: str) -> CheckImages:
    """Up to `MOST_IMAGES` of some files, spread over them.

    Args:
        paths: Files, one or more.
        image_size: Height and width in pixels.
        what: Whose images they are.

    Raises:
        UserError: One does not decode.
    """
    places = np.linspace(0, len(paths) - 1, min(MOST_IMAGES, len(paths))).astype(int)
    pixels = np.stack([decode_image(paths[place], image_size) for place in places])
    return CheckImages(pixels, f"{len(places)} {what}")


def images_of_run(data: ImageData) -> CheckImages | None:
    """Validation images of a run's data; None where they do not lie here: nothing is drawn or downloaded."""
    image_set = data.image_set
    is_download = image_set.root is None and image_set.source != "stand_in"
    if is_download or not image_set.folder.is_dir():
        return None
    try:
        index = image_set.index
    except UserError:
        # No longer the folder it was.
        return None
    paths = [index.root / index.files[place] for place in index.places(validation=True)]
    return read_images(paths, image_set.image_size, "validation images of the run")


def random_images(image_size: tuple[int, int]) -> CheckImages:
    """Seeded noise.

    Args:
        image_size: Height and width in pixels.
    """
    pixels = np.random.RandomState(SEED).randint(0, 256, (MOST_IMAGES, *image_size, 3)).astype(np.uint8)
    return CheckImages(pixels, f"{MOST_IMAGES} images of seeded noise, since the run's own are not here")


def check(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]], deployed: Deployed, images: CheckImages
) -> float:
    """Holds an exported file against the checkpoint's classifier.

    All the images are given at once, and one alone: the size of a batch must not be built in.

    Args:
        run: The file, as a function from images to probabilities.
        deployed: What was exported.
        images: The inputs.

    Returns:
        The largest difference in probability.

    Raises:
        Stopped: It differs by more than `LARGEST_DIFFERENCE`, or in shape, or is no number.
    """
    largest = 0.0
    for pixels in (images.pixels, images.pixels[:1]):
        with torch.inference_mode():
            wanted = deployed(torch.from_numpy(pixels)).numpy()
        found = run(pixels)
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise Stopped(
                f"the exported file gives {found.dtype} {found.shape}, the checkpoint {wanted.dtype} "
                f"{wanted.shape}: nothing is kept",
                EXIT_FAILED,
            )
        difference = float(np.abs(found - wanted).max())
        # Written so that it holds for a difference that is no number, too.
        if not difference <= LARGEST_DIFFERENCE:
            raise Stopped(
                f"the exported file differs from the checkpoint by {difference:.2g} in probability on "
                f"{images.what}, more than {LARGEST_DIFFERENCE:.0e}: nothing is kept",
                EXIT_FAILED,
            )
        largest = max(largest, difference)
    return largest
