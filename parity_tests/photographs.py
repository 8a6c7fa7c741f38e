"""The record's trainings on photographs: which there are, and where their figures lie."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lightning_impl.data.index import index_folder
from lightning_impl.study.point import Point
from parity_common.config_files import find_config, read_config
from parity_tests.bands import KERAS, LIGHTNING, REPOSITORY, Side
from porting.accuracy import Training, from_json

FIGURES = REPOSITORY / "docs" / "photographs.json"
MANIFEST = REPOSITORY / "parity_tests" / "photographs_manifest.json"
NETS = ("v1", "v2", "v3", "final-lite")
LOG = {"v1": "23.5%", "v2": "55.1%", "v3": "62.9%", "final-lite": "93.88%"}
SEEDS = range(3)
SIDES = (KERAS, LIGHTNING)
IMAGES = "photographs/images"
# What a hash is cut to: enough to tell a file from every other.
HASH_DIGITS = 16

Trainings = dict[str, dict[str, list[Training]]]


def point(side: Side, net: str, seed: int, root: Path | None) -> Point:
    """One training; of a folder that holds the class folders, or of the set that torchvision downloads."""
    folder = () if root is None else ("--data.root", str(root))
    return side.point(net, seed, *folder, overlays=(IMAGES, f"photographs/{net}"))


def all_points(root: Path | None, nets: tuple[str, ...] = NETS) -> list[Point]:
    """Every training, seed by seed, so that a run that is stopped has about as many of each."""
    return [point(side, net, seed, root) for seed in SEEDS for net in nets for side in SIDES]


def kept_trainings() -> Trainings:
    """The committed trainings by net and side; of a net that was not trained yet there are none."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))["trainings"]
    return {net: {side: from_json(rows) for side, rows in sides.items()} for net, sides in kept.items()}


def listed(root: Path) -> dict[str, str]:
    """The start of the SHA-256 of each file that is used, by its path below the class folders.

    Behind the name of a validation image stands a star.
    """
    said = read_config(find_config(IMAGES))["data"]
    index = index_folder(
        root, said["validation_split"], said["subset_per_class"], said["subset_seed"], said["classes"]
    )
    return {
        name + "*" * validates: hashlib.sha256((root / name).read_bytes()).hexdigest()[:HASH_DIGITS]
        for name, validates in zip(index.files, index.is_validation, strict=True)
    }
