"""Shows what a config does to its images: `python -m lightning_impl.preview --config v2`.

A picture with a row of augmented images for each of a few training images; below them Keras's own with the
same parameters, and the difference, where the keras extra is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity_common.command_errors import UserError, run_command
from parity_common.extras import how_to_install
from parity_common.home_path import home_path
from parity_common.one_line_parser import OneLineParser

COLUMNS = 8
# Differences are at most a few levels: shown times this they can be seen.
DIFFERENCE_SCALE = 32


def main() -> None:
    parser = OneLineParser(prog="python -m lightning_impl.preview", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "Further: --config NAME and --KEY VALUE, as for the fit."
    parser.add_argument(
        "--out", type=home_path, default=Path("preview.png"), help="the picture (preview.png)"
    )
    parser.add_argument("--images", type=int, default=3, help="training images to show (3)")
    parser.add_argument("--without-keras", action="store_true", help="leave Keras's own out")
    arguments, settings = parser.parse_known_args()
    if arguments.images < 1:
        raise UserError(f"--images is {arguments.images}: give 1 or more")
    if not arguments.out.absolute().parent.is_dir():
        raise UserError(f"no such folder {arguments.out.parent}: make it or give another --out")
    preview(arguments.out, arguments.images, arguments.without_keras, settings)


def preview(out: Path, count: int, without_keras: bool, settings: list[str]) -> None:
    """Draws the picture and prints the largest difference.

    Args:
        out: The picture.
        count: Training images to show.
        without_keras: Whether to leave Keras's own out.
        settings: The fit's arguments.

    Raises:
        UserError: Anything wrong with them, or nothing random in data.augment.
    """
    from lightning_impl.augment import keras_parameters
    from lightning_impl.cli import read_data
    from lightning_impl.data.examples import augmented_examples
    from lightning_impl.report.draw import save_figure
    from lightning_impl.report.preview import draw_preview

    data = read_data(settings)
    if not data.augment.is_random:
        raise UserError(
            "data.augment changes nothing: give it a range, such as --data.augment.rotation_range 20"
        )
    data.prepare_data()
    data.setup("preview")
    assert data.augmenter is not None
    examples = augmented_examples(data, count, COLUMNS)
    images = np.repeat(examples.originals, COLUMNS, axis=0)
    ours = examples.augmented.reshape(images.shape)
    keras: NDArray | None = None
    if not without_keras:
        drawn = [
            keras_parameters(data.augmenter.compose, image, data.seed, 0, int(index))
            for image, index in zip(images, examples.items.ravel(), strict=True)
        ]
        keras = keras_images(data.profile.name, asdict(data.augment), images, drawn)
    figure = draw_preview(images, ours, keras, COLUMNS, DIFFERENCE_SCALE, data.profile.name)
    save_figure(figure, out)
    if keras is not None:
        apart = np.abs(ours - keras)
        levels = f"{apart.max():.3g} grey levels at most, {apart.mean():.2g} on average"
        print(f"against Keras ({data.profile.name}): {levels}")
    print(out)


def keras_images(
    profile: str, augment: dict[str, Any], images: NDArray, parameters: list[dict[str, Any]]
) -> NDArray | None:
    """Keras's own result, from a process of its own; None, with a line, where it is not installed."""
    package = "keras" if profile == "keras3" else "tf_keras"
    if importlib.util.find_spec(package) is None:
        print(f"without Keras beside it: {how_to_install('keras')}", file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder, "given.npz"), Path(folder, "result.npz")
        np.savez(
            given,
            images=images,
            parameters=np.asarray(json.dumps(parameters)),
            augment=np.asarray(json.dumps(augment)),
            profile=np.asarray(json.dumps(profile)),
        )
        command = [sys.executable, "-m", "keras_reference.transform", str(given), str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word of it"])[-1]
            raise UserError(f"Keras's own images could not be made ({last}): --without-keras leaves them out")
        with np.load(result) as answer:
            return answer["images"]


if __name__ == "__main__":
    run_command(main)
