"""Images that no machine could hold are refused by their size, before anything is asked for memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from parity_common.command_errors import UserError

GIB = 2**30
CHANNELS = 3
FLOAT_BYTES = 4


def check_image_size(image_size: Sequence[int], batch_size: int = 1) -> None:
    """Refuses a size of which one batch alone, as float32, is more than the machine's memory.

    Args:
        image_size: Height and width in pixels.
        batch_size: Images a step.

    Raises:
        UserError: It is, or this is no height and width; says how much it would take.
    """
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in image_size)
    if isinstance(image_size, str) or len(image_size) != 2 or not whole or min(image_size) < 1:
        raise UserError(f"data.image_size is {list(image_size)}: give height and width in pixels")
    height, width = image_size
    needed, there = batch_size * height * width * CHANNELS * FLOAT_BYTES, memory_bytes()
    if needed > there:
        images = "an image" if batch_size == 1 else f"a batch of {batch_size} images"
        raise UserError(
            f"data.image_size {[height, width]}: {images} takes {needed / GIB:,.0f} GiB of memory, this "
            f"machine has {there / GIB:,.0f} GiB: give a smaller image_size"
            + ("" if batch_size == 1 else " or batch_size")
        )


@contextmanager
def memory_refused(what: str) -> Iterator[None]:
    """Turns a refusal of the system to give memory into one line.

    Args:
        what: That takes it, for the message.

    Raises:
        UserError: There is too little.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's allocator says so in words alone.
        if isinstance(error, RuntimeError) and "allocate" not in str(error):
            raise
        asked = next((int(word) for word in str(error).split() if word.isdigit() and int(word) > GIB), 0)
        amount = f"{asked / GIB:,.0f} GiB for one array" if asked else "more memory than there is"
        raise UserError(
            f"{what} takes {amount}: give a smaller data.image_size or data.batch_size"
        ) from error


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
