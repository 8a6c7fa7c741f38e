"""One image file to pixels, bit-equal to Keras's load_img with nearest resizing."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from parity_common.command_errors import UserError
from parity_common.special_files import special_kind

# A small file can claim a huge picture; Pillow alone refuses only above 179 megapixels.
LARGEST_MEGAPIXELS = 100
# Part of a cache's key: raise it when the rule below changes.
DECODE_RULE = "pillow RGB, nearest, 1"


class DamagedImage(UserError):
    """A file that does not decode, or claims too many pixels."""


def decode_image(path: Path, image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Reads, converts to RGB and resizes, as Keras does.

    The rule is Pillow's `convert("RGB")`, then `resize` with NEAREST (keras-preprocessing 1.1.2
    image/utils.py and keras 3.15 utils/image_utils.py, `load_img`): grey is repeated, alpha is dropped
    without blending, 16-bit grey is clipped at 255, CMYK goes through Pillow's table, an EXIF rotation is
    not applied, an animation gives its first frame.

    Args:
        path: The file.
        image_size: Height and width in pixels of the result.

    Returns:
        `(height, width, 3)` in RGB, 0–255.

    Raises:
        DamagedImage: The file does not decode or its header claims more than 100 megapixels.
        UserError: It is none, or gone.
    """
    height, width = image_size
    refuse_special(path)
    try:
        with warnings.catch_warnings():
            # The size is judged below, with a limit of our own; other Pillow warnings (odd EXIF, palettes
            # with transparency) do not change the pixels.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if is_bomb(image):
                    raise DamagedImage(_bomb_line(path, f"{image.width} x {image.height} pixels"))
                rgb = image if image.mode == "RGB" else image.convert("RGB")
                return np.asarray(rgb.resize((width, height), Image.Resampling.NEAREST))
    except Image.DecompressionBombError as error:
        raise DamagedImage(_bomb_line(path, str(error))) from error
    except FileNotFoundError as error:
        raise UserError(f"image file {path} is gone: start again to index the folder anew") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error, EOFError) as error:
        # Pillow's decoders raise each of these on damaged files.
        raise DamagedImage(f"image file {path} does not decode ({error}): replace or remove it") from error


def refuse_special(path: Path) -> None:
    """Refuses what is named as an image and is no file: a pipe would be waited for, a device read, for ever.

    Raises:
        UserError: Names what it is.
    """
    if what := special_kind(path):
        raise UserError(f"image file {path} is {what}: replace or remove it")


def is_bomb(image: Image.Image) -> bool:
    """Whether the header of an opened, not yet decoded image claims more than `LARGEST_MEGAPIXELS`."""
    return image.width * image.height > LARGEST_MEGAPIXELS * 1_000_000


def _bomb_line(path: Path, claim: str) -> str:
    return (
        f"image file {path} claims more than {LARGEST_MEGAPIXELS} megapixels ({claim}): "
        "shrink or remove it; nothing was decoded"
    )
