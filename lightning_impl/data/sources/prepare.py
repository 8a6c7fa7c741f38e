"""Brings a set into the cache folder, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lightning_impl.data.processes import only_one
from lightning_impl.data.sources.caltech101 import CALTECH101
from lightning_impl.data.sources.cifar100 import CIFAR100_SET
from lightning_impl.data.sources.downloaded_set import DownloadedSet
from lightning_impl.data.sources.fetch import fetch
from lightning_impl.data.sources.food101 import FOOD101
from parity_common.command_errors import UserError
from parity_common.data_sources import source_folder

SETS: dict[str, DownloadedSet] = {"food101": FOOD101, "cifar100": CIFAR100_SET, "caltech101": CALTECH101}


def prepare_source(source: str, cache_root: Path) -> Path:
    """The folder of class folders of a set; nothing is downloaded or written if it is there already.

    Whatever stops it, the folder is whole or not there, and the next start begins where it makes sense.
    Starts at the same time wait for the one that prepares.

    Args:
        source: A key of `SETS`.
        cache_root: What `parity_common.cache_folder.cache_root` gives; downloads go to `downloads` in it.

    Raises:
        UserError: The set cannot be downloaded, unpacked or written, or what lies there is not the set.
    """
    folder = source_folder(cache_root, source)
    if _is_ready(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with only_one(folder.parent, f"waiting for another start that prepares a set in {folder.parent}"):
            # Looked at anew: while this process waited another may have prepared it.
            if not _is_ready(folder):
                downloads = cache_root / "downloads"
                fetch(SETS[source], downloads)
                _build_whole(SETS[source], downloads, folder)
    except OSError as error:
        raise UserError(
            f"cannot write {folder} ({error.strerror or error}): choose another place with data.cache_dir"
        ) from error
    return folder


def _is_ready(folder: Path) -> bool:
    """Whether the set is there; it is not where what a link of it leads to was removed."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return False
    return bool(entries) and all(entry.is_dir() or not entry.is_symlink() for entry in entries)


def _build_whole(downloaded_set: DownloadedSet, downloads: Path, folder: Path) -> None:
    temporary = folder.with_name(f".{folder.name}.part")
    # What a killed start left.
    _remove(temporary)
    temporary.mkdir()
    try:
        downloaded_set.build(downloads, temporary)
        _remove(folder)
        os.replace(temporary, folder)
    except BaseException:
        _remove(temporary)
        raise


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
