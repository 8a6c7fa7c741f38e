"""Caltech-101's 101 classes, without its folder of backgrounds."""

from __future__ import annotations

from pathlib import Path

from lightning_impl.data.sources.downloaded_set import DownloadedSet, link_class_folders, not_the_set
from parity_common.class_folders import folder_names

CLASSES = 101
TITLE = "Caltech-101"
UNPACKED = "caltech101/101_ObjectCategories"
NO_CLASS = "BACKGROUND_Google"


def _download(root: Path) -> None:
    from torchvision.datasets import Caltech101

    Caltech101(root, download=True)


def _build(root: Path, folder: Path) -> None:
    names = [name for name in folder_names(root / UNPACKED) if name != NO_CLASS]
    if len(names) != CLASSES:
        raise not_the_set(root / UNPACKED, TITLE, f"{len(names)} classes beside {NO_CLASS}, not {CLASSES}")
    link_class_folders(root / UNPACKED, names, folder)


CALTECH101 = DownloadedSet(
    title=TITLE,
    url="https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
    archive="caltech101/caltech-101.zip",
    unpacked=UNPACKED,
    download=_download,
    build=_build,
)
