"""What is wrong with one image file, seen as Keras's `load_img` sees it."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from PIL import Image, UnidentifiedImageError

from lightning_impl.data.decode import is_bomb

EXIF_ORIENTATION = 0x0112
# 1 is upright; Pillow's exif_transpose takes any other value for 1 too.
TURNED = range(2, 9)
OTHER_COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")


@dataclass(frozen=True)
class ImageState:
    """One file.

    Attributes:
        digest: Equal for equal bytes; None for a file that does not decode.
        problems: Pairs of a key of `KINDS` and a detail.
    """

    digest: bytes | None
    problems: tuple[tuple[str, str], ...] = ()


def inspect_image(path: Path, image_size: tuple[int, int]) -> ImageState:
    """Reads and decodes a file whole, unless its header claims too many pixels.

    Args:
        path: The file.
        image_size: Height and width in pixels that a training resizes to.
    """
    try:
        # A pipe named as an image would hold the audit for ever.
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        return ImageState(None, (("unreadable", str(error.strerror)),))
    if not content:
        said = "no file, or a link to none" if content is None else "empty"
        return ImageState(None, (("unreadable", said),))
    with warnings.catch_warnings():
        # What Pillow warns of is judged here.
        warnings.simplefilter("ignore")
        return _inspect(content, image_size)


def _inspect(content: bytes, image_size: tuple[int, int]) -> ImageState:
    opened = _decode(content)
    if isinstance(opened, tuple):
        return ImageState(None, (opened,))
    return ImageState(hashlib.sha256(content).digest(), tuple(_losses(opened, image_size)))


def _decode(content: bytes) -> Image.Image | tuple[str, str]:
    """The image, decoded whole, or why there is none: a key of `KINDS` and a detail."""
    try:
        image = Image.open(io.BytesIO(content))
        if is_bomb(image):
            return "bomb", f"{image.width} x {image.height} pixels"
        image.load()
        return image
    except Image.DecompressionBombError as error:
        return "bomb", str(error)
    except UnidentifiedImageError:
        # Its message holds nothing but the address of a buffer.
        return "unreadable", "of no format that Pillow knows"
    except Exception as error:
        # On damaged files Pillow's plugins raise nearly anything.
        return "damaged", str(error) or type(error).__name__


def _losses(image: Image.Image, image_size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """What the conversion to RGB and the resizing lose of a decoded image."""
    orientation = _orientation(image)
    if orientation in TURNED:
        yield "rotated", f"orientation {orientation}"
    if image.mode == "F" or image.mode.startswith("I"):
        low, high = cast(tuple[float, float], image.getextrema())
        # Fractions are cut as well.
        if image.mode == "F" or low < 0 or high > 255:
            yield "deep_values", f"mode {image.mode}, values from {low:g} to {high:g}"
    elif image.mode in OTHER_COLOURS:
        yield "other_colours", f"mode {image.mode}"
    elif image.has_transparency_data:
        opaque = image.convert("RGBA").getchannel("A").histogram()[255]
        share = 1 - opaque / (image.width * image.height)
        if share:
            yield "transparent", f"{share:.1%} of its pixels are not opaque"
    if image.height < image_size[0] or image.width < image_size[1]:
        yield "small", f"{image.width} x {image.height} pixels"


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a decoded image: Pillow turns a TIFF by itself, and then it is 1 again."""
    try:
        return image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:
        # Broken EXIF raises nearly anything; the pixels do not depend on it.
        return 1
