"""The trainings over many seeds behind docs/accuracy.md: which there are, and where their figures lie."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lightning_impl.data.index import index_folder
from lightning_impl.study.point import Point
from parity_common.config_files import find_config, read_config
from porting.accuracy import Training, from_json

REPOSITORY = Path(__file__).parents[1]
FIGURES = REPOSITORY / "docs" / "accuracy.json"
MANIFEST = REPOSITORY / "parity_tests" / "bands_manifest.json"
NETS = ("v1", "v2", "v3")
# v2's second ten answer a question that the first raised (docs/accuracy.md).
SEEDS = {"v1": range(10), "v2": range(20), "v3": range(10)}
FAULTY_SEEDS = {"v3": range(6)}


@dataclass(frozen=True)
class Side:
    """Who trains.

    Attributes:
        name: In files.
        title: For people.
        module: The command.
        options: More of its options.
        seeds: What it trains, by net.
    """

    name: str
    title: str
    module: str
    options: tuple[str, ...] = ()
    seeds: Mapping[str, range] = field(default_factory=lambda: SEEDS)

    def point(self, net: str, seed: int, *more: str, overlays: tuple[str, ...] = ()) -> Point:
        """One training as a process of its own.

        Args:
            net: A config's name.
            seed: Of the training.
            more: Options.
            overlays: Configs laid over it; none: the small one of docs/accuracy.md.
        """
        configs = [word for name in (net, *(overlays or (f"bands/{net}",))) for word in ("--config", name)]
        given = (*configs, "--seed_everything", str(seed))
        return Point(f"{net}-{self.name}-seed{seed}", self.module, (*given, *self.options, *more))


KERAS = Side("keras", "Keras", "keras_reference.fit")
LIGHTNING = Side("lightning", "Lightning", "lightning_impl.fit")
# Ports with one difference left in, as a careless migration leaves it.
FAULTY = (
    Side(
        "torch_nadam",
        "torch's default NAdam: rate 0.002, epsilon 1e-8 (D16)",
        "lightning_impl.fit",
        ("--model.learning_rate", "0.002", "--model.optimizer_arguments", "{epsilon: 1e-8}"),
        FAULTY_SEEDS,
    ),
    Side(
        "torch_start", "torch's start weights (D15)", "parity_tests.fit_with_torch_start", seeds=FAULTY_SEEDS
    ),
)
SIDES = (KERAS, LIGHTNING, *FAULTY)


def all_points() -> list[Point]:
    """Every training, seed by seed, so that a run that is stopped has about as many of each."""
    wanted = [(seed, net, side) for side in SIDES for net, seeds in side.seeds.items() for seed in seeds]
    return [side.point(net, seed) for seed, net, side in sorted(wanted, key=lambda each: each[0])]


def kept_trainings() -> dict[str, dict[str, list[Training]]]:
    """The committed trainings by net and side."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))["trainings"]
    return {net: {side: from_json(rows) for side, rows in sides.items()} for net, sides in kept.items()}


def subset_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that the overlays use, by its path below the drawn set."""
    said = read_config(find_config("bands/v3"))["data"]
    index = index_folder(
        folder, said["validation_split"], said["subset_per_class"], said["subset_seed"], said["classes"]
    )
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in index.files}


def curves_of(trainings: Sequence[Training]) -> dict[str, NDArray]:
    """Each figure, `(seeds, epochs)`, for draw_seed_curves."""
    return {name: np.array([each.figures[name] for each in trainings]) for name in trainings[0].figures}


def compact_json(kept: dict) -> str:
    """A line a list of numbers: a file that can be read and compared."""
    text = json.dumps(kept, indent=1)
    return re.sub(r"\[[^\[\]{}]+\]", lambda found: " ".join(found[0].split()), text) + "\n"
