"""Food-101's first thirty classes: exactly the log's 30 × 1,000 photographs in number."""

from __future__ import annotations

import json
from pathlib import Path

from lightning_impl.data.sources.downloaded_set import DownloadedSet, link_class_folders, not_the_set
from parity_common.class_folders import list_images

CLASSES = 30
TITLE = "Food-101"
UNPACKED = "food-101"


def _download(root: Path) -> None:
    from torchvision.datasets import Food101

    Food101(root, download=True)


def _build(root: Path, folder: Path) -> None:
    unpacked = root / UNPACKED
    try:
        # Class name to the set's own training or test images, such as "apple_pie/1005649".
        parts = [json.loads((unpacked / f"meta/{part}.json").read_text()) for part in ("train", "test")]
        names = sorted(parts[0])[:CLASSES]
        stems = {name: {stem for part in parts for stem in part[name]} for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise not_the_set(unpacked, TITLE, f"its meta folder: {error}") from error
    if len(names) < CLASSES:
        raise not_the_set(unpacked, TITLE, f"its meta folder names {len(names)} classes")
    for name in names:
        # An unpacking that was cut short, and a file that does not belong, would both pass in silence.
        found = {f"{name}/{image}" for image in list_images(unpacked / "images" / name)}
        if odd := sorted(found ^ {f"{stem}.jpg" for stem in stems[name]}):
            state = "should not be there" if odd[0] in found else "is missing"
            raise not_the_set(unpacked, TITLE, f"images/{odd[0]} {state}")
    link_class_folders(unpacked / "images", names, folder)


FOOD101 = DownloadedSet(
    title=TITLE,
    url="http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
    archive="food-101.tar.gz",
    unpacked=UNPACKED,
    download=_download,
    build=_build,
)
