"""The audit of one folder: every image decoded once, in all processes, and the folders looked through."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lightning_impl.data.audit.image_file import ImageState, inspect_image
from lightning_impl.data.processes import map_in_processes
from parity_common.class_folders import folder_names, list_images, validation_count
from parity_common.folder_findings import KINDS, SEVERITIES, Finding
from parity_common.folder_layout import class_findings, file_findings


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        root: The folder.
        validation_split: In (0, 1).
        image_size: Height and width in pixels.
        classes: By name, in label order: how many images train and how many validate.
        findings: By kind in the order of `KINDS`, then in Keras's file order.
    """

    root: Path
    validation_split: float
    image_size: tuple[int, int]
    classes: dict[str, tuple[int, int]]
    findings: tuple[Finding, ...]

    def totals(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        counts = Counter(KINDS[finding.kind].severity for finding in self.findings)
        return {severity: counts[severity] for severity in SEVERITIES}


def audit_folder(
    root: Path,
    validation_split: float,
    image_size: tuple[int, int],
    track: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> Audit:
    """Looks through a folder of class folders; writes nothing.

    Args:
        root: The folder.
        validation_split: In (0, 1), as a training would split.
        image_size: Height and width in pixels that a training would resize to.
        track: Wraps the iteration over images, for a progress bar.

    Raises:
        UserError: No such folder, or no folder in it.
    """
    images = {name: list_images(root / name) for name in folder_names(root)}
    classes = {}
    files: list[str] = []
    validates: list[bool] = []
    for name, own in images.items():
        validating = validation_count(len(own), validation_split)
        classes[name] = (len(own) - validating, validating)
        files += [os.path.join(name, file) for file in own]
        validates += [number < validating for number in range(len(own))]
    inspect = partial(inspect_image, image_size=image_size)
    states = list(track(map_in_processes(inspect, [root / file for file in files]), len(files)))
    findings = [
        *class_findings(root, images, validation_split),
        *file_findings(root, images),
        *(
            Finding(kind, (file,), said)
            for file, state in zip(files, states, strict=True)
            for kind, said in state.problems
        ),
        *_same_files(files, validates, states),
    ]
    order = list(KINDS)
    findings.sort(key=lambda finding: order.index(finding.kind))
    return Audit(root, validation_split, image_size, classes, tuple(findings))


def _same_files(files: list[str], validates: list[bool], states: list[ImageState]) -> Iterator[Finding]:
    """Files of equal bytes: a leak where they lie in both parts of the split."""
    alike: dict[bytes, list[int]] = defaultdict(list)
    for place, state in enumerate(states):
        if state.digest is not None:
            alike[state.digest].append(place)
    for places in alike.values():
        if len(places) == 1:
            continue
        # In order, but those that validate first.
        paths = tuple(files[place] for place in sorted(places, key=lambda place: not validates[place]))
        validating = sum(validates[place] for place in places)
        if 0 < validating < len(places):
            detail = f"{validating} in validation, {len(places) - validating} in training"
            yield Finding("leak", paths, detail)
        else:
            yield Finding("duplicate", paths, "in validation" if validating else "in training")
