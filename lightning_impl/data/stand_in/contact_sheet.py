"""A contact sheet of the stand-in set: `python -m lightning_impl.data.stand_in.contact_sheet --out FILE`."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from lightning_impl.data.stand_in.draw import check_seed, draw_image
from lightning_impl.data.stand_in.objects import CLASS_NAMES
from parity_common.command_errors import UserError, run_command

COLUMNS, IMAGES_PER_CLASS = 2, 8
THUMB_WIDTH, THUMB_HEIGHT, LABEL_WIDTH, GAP = 145, 105, 96, 3
QUALITY = 82


def contact_sheet(seed: int, images_per_class: int = IMAGES_PER_CLASS) -> np.ndarray:
    """The first images of every class, a labelled row each, two columns: `(height, width, 3)` uint8 RGB."""
    rows = -(-len(CLASS_NAMES) // COLUMNS)
    column_width = LABEL_WIDTH + images_per_class * (THUMB_WIDTH + GAP)
    sheet = np.full((rows * (THUMB_HEIGHT + GAP) + GAP, COLUMNS * column_width + GAP, 3), 255, np.uint8)
    for index, name in enumerate(CLASS_NAMES):
        top = GAP + index % rows * (THUMB_HEIGHT + GAP)
        left = GAP + index // rows * column_width
        cv2.putText(
            sheet,
            name,
            (left, top + THUMB_HEIGHT // 2),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.52,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
        for number in range(1, images_per_class + 1):
            x = left + LABEL_WIDTH + (number - 1) * (THUMB_WIDTH + GAP)
            picture = draw_image(name, number, seed)
            thumb = cv2.resize(picture, (THUMB_WIDTH, THUMB_HEIGHT), interpolation=cv2.INTER_AREA)
            sheet[top : top + THUMB_HEIGHT, x : x + THUMB_WIDTH] = thumb
    return sheet


def main() -> None:
    """Writes the sheet."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_impl.data.stand_in.contact_sheet", description=__doc__
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the JPEG to write")
    parser.add_argument("--seed", type=int, default=2021)
    arguments = parser.parse_args()
    sheet = contact_sheet(check_seed(arguments.seed))
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    try:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_bytes(data.tobytes())
    except OSError as error:
        raise UserError(f"cannot write {arguments.out}: {error.strerror}") from None
    print(f"{arguments.out}: {len(CLASS_NAMES)} classes, {IMAGES_PER_CLASS} images each")


if __name__ == "__main__":
    run_command(main)
