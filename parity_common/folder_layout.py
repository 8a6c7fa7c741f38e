"""What is wrong with the folders: classes that are none, have too little, or lie in the wrong place."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from parity_common.class_folders import IMAGE_SUFFIXES, is_stray, split_folders, validation_count
from parity_common.folder_findings import Finding

# Pictures that Keras's iterators pass over.
SKIPPED_SUFFIXES = (
    ".webp",
    ".gif",
    ".avif",
    ".heic",
    ".heif",
    ".jfif",
    ".jpe",
    ".jp2",
    ".tga",
    ".svg",
    ".psd",
)
# A class with less than this share of the largest one's images is few.
FEW_SHARE = 0.25


def class_findings(root: Path, images: dict[str, list[str]], validation_split: float) -> Iterator[Finding]:
    """What is wrong with the classes as a whole.

    Args:
        root: The folder.
        images: By class folder, in label order, its images' paths below it.
        validation_split: In (0, 1).
    """
    yield from (Finding("stray_class", (name,)) for name in images if is_stray(name))
    plain = {name: files for name, files in images.items() if not is_stray(name)}
    yield from (Finding("empty_class", (name,)) for name, files in plain.items() if not files)
    yield from _depth(root, plain)
    sizes = {name: len(files) for name, files in plain.items() if files}
    bare = [name for name, size in sizes.items() if validation_count(size, validation_split) == 0]
    if sizes and len(bare) == len(sizes):
        yield Finding("nothing_validates", tuple(bare), f"at a split of {validation_split}")
    else:
        for name in bare:
            yield Finding("no_validation", (name,), f"{sizes[name]} images at a split of {validation_split}")
    largest = max(sizes.values(), default=0)
    for name, size in sizes.items():
        if size < FEW_SHARE * largest:
            yield Finding("few", (name,), f"{size} of the largest one's {largest}")


def file_findings(root: Path, images: dict[str, list[str]]) -> Iterator[Finding]:
    """Files and folders that are not read, or not meant to be; arguments as above."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if not os.path.isdir(entry.path) and entry.name.lower().endswith(
            (*IMAGE_SUFFIXES, *SKIPPED_SUFFIXES)
        ):
            yield Finding("loose", (entry.name,))
    for name, files in images.items():
        if not is_stray(name):
            yield from _stray_folders(name, files)
        read = {os.path.join(root, name, file) for file in files}
        for folder, inner, found in sorted(os.walk(root / name), key=lambda step: step[0]):
            for path in (os.path.join(folder, below) for below in sorted(inner)):
                if os.path.islink(path):
                    yield Finding("linked_folder", (os.path.relpath(path, root),))
            for file in sorted(found):
                path = os.path.join(folder, file)
                if path in read:
                    continue
                if file.lower().endswith(SKIPPED_SUFFIXES):
                    yield Finding("skipped", (os.path.relpath(path, root),))
                elif not file.startswith("."):
                    yield Finding("other_file", (os.path.relpath(path, root),))


def _depth(root: Path, plain: dict[str, list[str]]) -> Iterator[Finding]:
    """Class folders that hold folders of images in place of images."""
    inner = {
        name: {file.split(os.sep)[0] for file in files}
        for name, files in plain.items()
        if files and all(os.sep in file for file in files)
    }
    # The same names under several folders are classes under train and test; otherwise a class may well be
    # sorted into subfolders.
    repeated = Counter(below for names in inner.values() for below in names)
    if parts := split_folders(plain):
        yield Finding("too_deep", tuple(parts), f"such as {root / parts[0]}")
        return
    if inner and (len(plain) == 1 or max(repeated.values()) > 1):
        yield Finding("too_deep", tuple(inner), f"such as {root / next(iter(inner))}")
        return
    yield from (Finding("subfolders", (name,)) for name in inner)
    if len(plain) == 1:
        yield Finding("one_class", tuple(plain))


def _stray_folders(name: str, files: list[str]) -> Iterator[Finding]:
    counts: Counter[str] = Counter()
    for file in files:
        folders = file.split(os.sep)[:-1]
        first = next((place for place, part in enumerate(folders) if is_stray(part)), None)
        if first is not None:
            counts[os.path.join(name, *folders[: first + 1])] += 1
    for path, count in counts.items():
        yield Finding("stray_images", (path,), f"{count} image" + ("" if count == 1 else "s"))
