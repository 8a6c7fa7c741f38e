"""What one downloadable set is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parity_common.command_errors import UserError


@dataclass(frozen=True)
class DownloadedSet:
    """A set as torchvision downloads it, and how its class folders are made of that.

    Attributes:
        title: Its name in messages.
        url: Where torchvision has the archive from, for messages.
        archive: The archive's path below torchvision's `root`.
        unpacked: The path below `root` of the folder that torchvision unpacks and looks for.
        download: Has torchvision download, check and unpack into a `root`.
        build: Makes the class folders from an unpacked `root` in an empty folder.
    """

    title: str
    url: str
    archive: str
    unpacked: str
    download: Callable[[Path], object]
    build: Callable[[Path, Path], None]


def link_class_folders(images: Path, names: list[str], folder: Path) -> None:
    """Makes `folder` a folder of links to the class folders `names` of `images`.

    Links, since Food-101's classes alone take 1.5 GB. Either framework follows a link that is a class
    folder: only links further down are passed over.
    """
    for name in names:
        (folder / name).symlink_to((images / name).resolve(), target_is_directory=True)


def not_the_set(unpacked: Path, title: str, reason: object) -> UserError:
    """The line for an unpacked folder that is not the whole set."""
    return UserError(
        f"{unpacked} is not {title} as torchvision unpacks it ({reason}): "
        "remove it to have it unpacked or downloaded anew, or mend it"
    )
