"""CIFAR-100's first thirty classes, 600 images of 32 × 32 pixels each, written as PNG."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lightning_impl.data.sources.downloaded_set import DownloadedSet, not_the_set
from parity_common.progress import track

CLASSES = 30
TITLE = "CIFAR-100"
UNPACKED = "cifar-100-python"


def _download(root: Path) -> None:
    from torchvision.datasets import CIFAR100

    CIFAR100(root, download=True)


def _build(root: Path, folder: Path) -> None:
    from torchvision.datasets import CIFAR100

    try:
        parts = [CIFAR100(root, train=train) for train in (True, False)]
    except RuntimeError as error:
        # The checksums of the unpacked files.
        raise not_the_set(root / UNPACKED, TITLE, error) from error
    # In the set's own order, which is alphabetical: labels in Keras's order are the set's own.
    names = parts[0].classes[:CLASSES]
    for name in names:
        (folder / name).mkdir()
    # Training first: a set's numbering is then one order over both of its parts.
    images = [
        (names[label], pixels)
        for part in parts
        for pixels, label in zip(part.data, part.targets, strict=True)
        if label < len(names)
    ]
    written = dict.fromkeys(names, 0)
    for name, pixels in track("writing")(images, len(images)):
        written[name] += 1
        Image.fromarray(pixels).save(folder / name / f"{name}_{written[name]:04d}.png")


CIFAR100_SET = DownloadedSet(
    title=TITLE,
    url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    archive="cifar-100-python.tar.gz",
    unpacked=UNPACKED,
    download=_download,
    build=_build,
)
