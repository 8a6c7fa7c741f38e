"""Applies ImageDataGenerator's transformations with given parameters: what a preview holds ours against.

    python -m keras_reference.transform GIVEN.npz RESULT.npz

GIVEN.npz holds `images` `(N, H, W, 3)` of 0-255, and as JSON texts `parameters`, a list of N dicts as
`get_random_transform` gives them, `augment`, the generator's arguments, and `profile`. RESULT.npz gets
`images`, float32.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_reference.backend import load_keras
from keras_reference.batches import generator_arguments
from keras_reference.data import image_module
from parity_common.augment_settings import AugmentSettings
from parity_common.command_errors import UserError, run_command


def transformed(
    profile: str, augment: AugmentSettings, images: NDArray, parameters: list[dict[str, Any]]
) -> NDArray[np.float32]:
    """`apply_transform` of image i with parameters i.

    Args:
        profile: Whose ImageDataGenerator; its Keras has been loaded.
        augment: Its arguments: fill_mode and cval matter.
        images: `(N, H, W, 3)` of 0-255.
        parameters: N of them.

    Returns:
        `(N, H, W, 3)` float32.
    """
    generator = image_module(profile).ImageDataGenerator(**generator_arguments(augment))
    return np.stack(
        [
            generator.apply_transform(image.astype(np.float32), given)
            for image, given in zip(images, parameters, strict=True)
        ]
    )


def main() -> None:
    if len(sys.argv) != 3:
        raise UserError("usage: python -m keras_reference.transform GIVEN.npz RESULT.npz")
    with np.load(sys.argv[1]) as given:
        profile = json.loads(str(given["profile"]))
        load_keras(profile)
        augment = AugmentSettings(**json.loads(str(given["augment"])))
        result = transformed(profile, augment, given["images"], json.loads(str(given["parameters"])))
    np.savez(sys.argv[2], images=result)


if __name__ == "__main__":
    run_command(main)
