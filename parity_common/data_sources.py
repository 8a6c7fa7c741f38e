"""The image sets that `data.source` names: one list and one place on disk for both frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from parity_common.command_errors import UserError, did_you_mean

Source = Literal["stand_in", "food101", "cifar100", "caltech101"]
SOURCES: tuple[str, ...] = get_args(Source)

FOLDER_OF_SOURCE = {"food101": "food101-30", "cifar100": "cifar100-30", "caltech101": "caltech101"}
"""Of every source but the stand-in, whose folder depends on its size: its folder's name."""


def check_source(source: str) -> None:
    """Refuses a name that is not one of `SOURCES`.

    Raises:
        UserError: Lists the names and the nearest one.
    """
    if source not in SOURCES:
        raise UserError(
            f"data.source is {source}: one of {', '.join(SOURCES)}{did_you_mean(source, SOURCES)}"
        )


def source_folder(cache_root: Path, source: str) -> Path:
    """The folder of class folders of a downloaded set, which need not exist yet.

    Args:
        cache_root: What `parity_common.cache_folder.cache_root` gives.
        source: A key of `FOLDER_OF_SOURCE`.
    """
    return cache_root / "sets" / FOLDER_OF_SOURCE[source]
