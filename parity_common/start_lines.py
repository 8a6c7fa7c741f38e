"""What a fit says of its images at its start, the same on both sides."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from parity_common.class_folders import is_stray, list_images
from parity_common.folder_findings import Finding
from parity_common.folder_layout import class_findings, file_findings
from parity_common.special_files import audit_command

NAMED = 5


def start_lines(root: Path, counts: Mapping[str, tuple[int, int]], is_own: bool) -> Iterator[str]:
    """Classes, images of each part, and what is odd, as Keras counts them: a few lines.

    Args:
        root: The folder of class folders.
        counts: By class, in label order: how many images train and how many validate.
        is_own: Whether it is the user's own folder, which may hold anything.
    """
    training, validating = (sum(part) for part in zip(*counts.values(), strict=True))
    yield (
        f"images: {len(counts)} classes ({_named(list(counts))}), {training} for training and {validating} "
        f"for validation, in {root}"
    )
    odd = list(_odd(root, counts)) if is_own else []
    yield from (f"  {line}" for line in odd)
    if odd:
        yield f"  every finding with its remedy: {audit_command(root)}"


def _odd(root: Path, counts: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    if stray := [name for name in counts if is_stray(name)]:
        yield f"counted as classes, as Keras does: {_named(stray)}"
    if bare := [name for name, (_, validating) in counts.items() if not validating]:
        yield f"without a validation image: {_named(bare)}"
    if untaught := [name for name, (training, _) in counts.items() if not training]:
        yield f"without a training image: {_named(untaught)}"
    images = {name: list_images(root / name) for name in counts}
    found: dict[str, list[Finding]] = {}
    for finding in (*class_findings(root, images, 0.5), *file_findings(root, images)):
        found.setdefault(finding.kind, []).append(finding)
    if deep := found.get("too_deep", found.get("subfolders", [])):
        names = [path for finding in deep for path in finding.paths]
        yield f"images in folders within the class, which Keras counts as the class's: {_named(names)}"
    if within := found.get("stray_images"):
        names = [f"{finding.paths[0]} ({finding.detail})" for finding in within]
        yield f"counted as the class's images, as Keras does: {_named(names)}"
    if skipped := list(_skipped(found)):
        yield f"not read: {', '.join(skipped)}"


def _skipped(found: Mapping[str, list[Finding]]) -> Iterator[str]:
    """What Keras passes over, in words."""
    others = [finding.paths[0] for kind in ("skipped", "other_file") for finding in found.get(kind, [])]
    if others:
        suffixes = Counter(os.path.splitext(path)[1].lower() or "none" for path in others)
        names = _named([suffix for suffix, _ in suffixes.most_common()])
        yield f"{_counted(len(others), 'file')} of another suffix ({names})"
    if links := found.get("linked_folder"):
        yield _counted(len(links), "linked folder")
    if loose := found.get("loose"):
        yield f"{_counted(len(loose), 'image')} beside the class folders"


def _named(names: list[str]) -> str:
    # A folder's name may hold anything: line ends, bytes that are no UTF-8.
    shown = [" ".join(name.split()).encode("utf-8", "backslashreplace").decode() for name in names[:NAMED]]
    return ", ".join(shown) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
