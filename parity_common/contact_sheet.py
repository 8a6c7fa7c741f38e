"""Small pictures side by side in one PNG, and cut apart again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parity_common.command_errors import UserError
from parity_common.run_folder import write_atomically

# Larger images are made smaller: a page of thumbnails stays below a megabyte.
LARGEST_TILE_SIDE = 128


def save_contact_sheet(path: Path, images: NDArray[np.uint8], columns: int) -> None:
    """Writes the images row by row; what is left of the last row stays black.

    Args:
        path: The PNG.
        images: `(N, H, W, 3)` RGB of 0-255, N 1 or more.
        columns: Images a row.
    """
    count, height, width, _ = images.shape
    scale = min(1.0, LARGEST_TILE_SIDE / max(height, width))
    tile = (max(1, round(width * scale)), max(1, round(height * scale)))
    sheet = Image.new("RGB", (tile[0] * columns, tile[1] * -(-count // columns)))
    for number, pixels in enumerate(images):
        image = Image.fromarray(pixels)
        if image.size != tile:
            image = image.resize(tile, Image.Resampling.LANCZOS)
        sheet.paste(image, (number % columns * tile[0], number // columns * tile[1]))
    write_atomically(path, lambda temporary: sheet.save(temporary, format="png"))


def read_tiles(path: Path, count: int, columns: int) -> list[Image.Image]:
    """The first `count` images of a sheet that was written with so many columns.

    Raises:
        UserError: Not such a sheet.
    """
    rows = -(-count // columns)
    try:
        with Image.open(path) as opened:
            sheet = opened.convert("RGB")
        width, height = sheet.width // columns, sheet.height // max(rows, 1)
        if (width * columns, height * rows) != sheet.size:
            raise ValueError(f"{sheet.size} pixels are not {columns} x {rows} images")
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} is not the contact sheet of this run ({error}): remove it") from error
    corners = [(number % columns * width, number // columns * height) for number in range(count)]
    return [sheet.crop((left, top, left + width, top + height)) for left, top in corners]
