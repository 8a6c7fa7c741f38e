"""Writes an expanded training folder, as the log of 2021 did: `python -m lightning_impl.data expand`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from parity_common.command_errors import UserError
from parity_common.progress import track
from parity_common.run_folder import write_atomically, write_text_atomically

CHUNK_IMAGES = 64
SETTINGS_FILE = "expanded.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, help="the folder to make: training/ and validation/"
    )
    parser.add_argument(
        "--stretch",
        action="store_true",
        help="stretch each augmented image to 0-255, as ImageDataGenerator's save_to_dir does",
    )
    parser.epilog = "Further: --config NAME and --KEY VALUE, as for the fit."


def run(arguments: argparse.Namespace, settings: list[str]) -> int:
    """Writes the folder, or what is missing of it, and gives the exit code."""
    from lightning_impl.cli import read_data

    data = read_data(settings)
    if data.expand is None:
        raise UserError("data.expand is null: give --data.expand N, so many images for each, itself included")
    out = arguments.out.absolute()
    _refuse_source(out, data.image_set.folder)
    if out.exists():
        raise UserError(f"{out} exists: choose another --out, or remove it")
    data.prepare_data()
    data.setup("expand")
    part = out.with_name(f".{out.name}.part")
    _open_part(part, data, arguments.stretch)
    for image, place in track("writing")(_images(data, part, arguments.stretch), _count(data)):
        if image is not None:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(place, _writer(image))
            except OSError as error:
                raise UserError(
                    f"could not write {place} ({error.strerror}): free space, and the same command goes on "
                    "from there"
                ) from error
    os.replace(part, out)
    print(f"{out}: {len(data.training) * data.expand} training images, {len(data.validation)} for validation")
    return 0


def stretched(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A float image as `array_to_img(scale=True)` makes it: its lowest value 0, its highest 255, cut off.

    keras-preprocessing 1.1.2 image/utils.py; save_to_dir calls it.
    """
    levels = image - image.min()
    if (top := levels.max()) != 0:
        levels /= top
    return (levels * 255).astype(np.uint8)


def _images(data, part: Path, stretch: bool) -> Iterator[tuple[NDArray[np.uint8] | None, Path]]:
    """Every image to write, None where its file is there already, and its place."""
    index, images = data.image_set.index, data.image_set.open_images()
    for row in data.validation.places:
        place = _place(part / "validation", index.files[row], 0)
        yield (None if place.exists() else images[row]), place
    count = len(data.training)
    for start in range(0, count * data.expand, CHUNK_IMAGES):
        numbers = np.arange(start, min(start + CHUNK_IMAGES, count * data.expand))
        rows = data.training.places[numbers % count]
        places = [
            _place(part / "training", index.files[row], number // count)
            for row, number in zip(rows.tolist(), numbers.tolist(), strict=True)
        ]
        missing = [position for position, place in enumerate(places) if not place.exists()]
        drawn = dict(
            zip(missing, _augmented(data, images, rows[missing], numbers[missing], stretch), strict=True)
        )
        for position, place in enumerate(places):
            yield drawn.get(position), place


def _augmented(
    data, images: NDArray[np.uint8], rows: NDArray, numbers: NDArray, stretch: bool
) -> list[NDArray[np.uint8]]:
    import torch

    from lightning_impl.data.batches import Picks

    if not len(rows):
        return []
    exact = data.augmenter.on_device(torch.from_numpy(images[rows]), Picks(0, numbers, True)).numpy()
    whole = np.clip(np.rint(exact), 0, 255).astype(np.uint8)
    if not stretch:
        return list(whole)
    is_plain = numbers < len(data.training)
    return [
        levels if plain else stretched(image)
        for image, levels, plain in zip(exact, whole, is_plain, strict=True)
    ]


def _place(folder: Path, name: str, turn: int) -> Path:
    """Where the `turn`-th image of a file goes; the suffix stays in the name, so that no two files meet."""
    label, _, inner = name.partition(os.sep)
    return folder / label / f"{inner.replace(os.sep, '__')}.{turn}.png"


def _count(data) -> int:
    return len(data.validation) + len(data.training) * data.expand


def _writer(image: NDArray[np.uint8]):
    def write(temporary: Path) -> None:
        is_encoded, png = cv2.imencode(".png", image[..., ::-1])
        if not is_encoded:
            raise RuntimeError("OpenCV could not encode a PNG")
        temporary.write_bytes(png.tobytes())

    return write


def _refuse_source(out: Path, source: Path) -> None:
    """Refuses to write where images are read: they would be read as originals the next time."""
    ours, theirs = out.resolve(), source.resolve()
    if ours == theirs or theirs in ours.parents or ours in theirs.parents:
        raise UserError(f"{out} and the images' own folder {source} lie in each other: choose another --out")


def _open_part(part: Path, data, stretch: bool) -> None:
    """The folder of a writing that was stopped, if it was the same one; else a fresh one."""
    wanted = {
        "files": [data.image_set.index.files[row] for row in data.training.places],
        "image_size": list(data.image_set.image_size),
        "pipeline": data.augmenter.compose.to_dict(),
        "seed": data.seed,
        "expand": data.expand,
        "stretch": stretch,
    }
    text = json.dumps(wanted, indent=1, sort_keys=True) + "\n"
    settings = part / SETTINGS_FILE
    if part.exists() and (not settings.exists() or settings.read_text(encoding="utf-8") != text):
        shutil.rmtree(part)
    part.mkdir(parents=True, exist_ok=True)
    write_text_atomically(settings, text)
