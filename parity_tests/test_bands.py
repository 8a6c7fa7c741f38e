"""Rung 10: trainings of both frameworks from their own random starts, held to bands over seeds.

The quick tests train one more seed of each net on both sides for a few epochs. `pytest parity_tests -m bands`
trains every seed anew into runs/bands, where it goes on if it was stopped; with `--write-pages` it leaves
docs/accuracy.json, the page and its pictures.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_impl.data.stand_in.draw_set import draw_set
from lightning_impl.report.draw import save_figure
from lightning_impl.report.seeds import draw_seed_curves
from lightning_impl.study.run_points import run_points
from parity_common.cache_folder import STAND_IN_SEED, cache_root, stand_in_folder
from parity_common.command_errors import UserError
from parity_common.config_files import find_config, read_config
from parity_common.run_folder import write_text_atomically
from parity_tests.accuracy_page import Trainings, final_interval, is_in_order, of_seeds, overlaps, page
from parity_tests.bands import (
    FAULTY,
    FIGURES,
    KERAS,
    LIGHTNING,
    MANIFEST,
    NETS,
    REPOSITORY,
    SEEDS,
    SIDES,
    Side,
    all_points,
    compact_json,
    curves_of,
    kept_trainings,
    subset_hashes,
)
from porting.accuracy import ACCURACY, LOSS_CURVE, Training, compare, read_training, to_json
from porting.equivalence import band

PAGE = REPOSITORY / "docs" / "accuracy.md"
OUT = REPOSITORY / "runs" / "bands"
# Of no committed training.
NEW_SEED = 1000
# As many as a test has time for.
QUICK_EPOCHS = {"v1": 3, "v2": 1, "v3": 2}
HELD = ("loss", "accuracy", "val_loss")
VERSIONS = ("torch", "lightning", "tensorflow", "tf_keras", "numpy")


@pytest.fixture(scope="module")
def drawn() -> Path:
    """The stand-in set of the overlays, drawn where it is not there yet."""
    count = read_config(find_config("bands/v3"))["data"]["stand_in_per_class"]
    folder = stand_in_folder(cache_root(None), STAND_IN_SEED, count)
    draw_set(folder, count, STAND_IN_SEED)
    return folder


def test_subset_is_the_listed_one(drawn: Path, request: pytest.FixtureRequest) -> None:
    hashes = subset_hashes(drawn)
    if request.config.getoption("--write-pages"):
        write_text_atomically(MANIFEST, json.dumps(hashes, indent=0) + "\n")
    assert len(hashes) == len(set(hashes.values())) == 6 * 190
    assert hashes == json.loads(MANIFEST.read_text(encoding="utf-8"))


def verdicts(trainings: Trainings, side: Side) -> dict[tuple[str, str], str]:
    """What the tests say of a side against Keras, by net and measure."""
    found = {}
    for net in side.seeds:
        ours = trainings[net][side.name]
        theirs = of_seeds(trainings[net][KERAS.name], (each.seed for each in ours))
        for measure in (ACCURACY, LOSS_CURVE):
            found[net, measure.name] = compare(ours, theirs, measure).verdict
    return found


def outside(training: Training, reference: list[Training], epochs: int) -> list[str]:
    """Which figures of a training's epoch `epochs` lie outside the band of the reference's."""
    found = []
    for name in HELD:
        value = training.figures[name][epochs - 1]
        low, high = band([each.figures[name][epochs - 1] for each in reference])
        if not low <= value <= high:
            found.append(f"{name} {value:.4f} of epoch {epochs} is not within {low:.4f} to {high:.4f}")
    return found


@pytest.mark.process
@pytest.mark.parametrize("side", [KERAS, LIGHTNING], ids=lambda side: side.name)
# v2, of v3's size and without its BatchNormalization, says nothing in a quick run that the others do not.
@pytest.mark.parametrize(
    "net", [pytest.param(net, marks=pytest.mark.bands if net == "v2" else ()) for net in NETS]
)
def test_one_more_training_lies_in_the_band(net: str, side: Side, drawn: Path, tmp_path: Path) -> None:
    epochs = QUICK_EPOCHS[net]
    point = side.point(net, NEW_SEED, "--trainer.max_epochs", str(epochs))
    done = subprocess.run(
        point.command(tmp_path), capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=600
    )
    assert done.returncode == 0, done.stderr[-500:]
    run = point.finished_run(tmp_path)
    assert run is not None
    training = read_training(run)
    assert training.epochs == epochs
    assert outside(training, kept_trainings()[net][KERAS.name], epochs) == []


def test_bands_are_narrow_enough_to_miss_something() -> None:
    """The same epochs of other nets and of faulty ports lie outside: a band that held them held anything."""
    kept = kept_trainings()
    reference = kept["v3"][KERAS.name]
    epochs = QUICK_EPOCHS["v3"]
    assert all(outside(each, reference, epochs) for each in kept["v2"][LIGHTNING.name])
    assert all(outside(each, kept["v2"][KERAS.name], epochs) for each in kept["v3"][LIGHTNING.name])
    caught = {
        side.name: sum(bool(outside(each, reference, epochs)) for each in kept["v3"][side.name])
        for side in FAULTY
    }
    assert caught["torch_start"] == len(kept["v3"]["torch_start"]), caught


def test_committed_trainings_are_complete() -> None:
    kept = kept_trainings()
    for side in SIDES:
        for net, seeds in side.seeds.items():
            trainings = kept[net][side.name]
            assert [each.seed for each in trainings] == list(seeds)
            assert {each.epochs for each in trainings} == {14}
            # Another start each: no two are the same.
            assert len({each.figures["loss"] for each in trainings}) == len(trainings)


def test_port_and_keras_train_alike_over_seeds() -> None:
    """No measure shows a difference, and for each net one shows that there is none beyond its margin.

    Where the other's spread is too wide to show it, docs/accuracy.md says so.
    """
    found = verdicts(kept_trainings(), LIGHTNING)
    assert "NOT equivalent" not in found.values(), found
    for net in NETS:
        assert "equivalent" in (found[net, ACCURACY.name], found[net, LOSS_CURVE.name]), found


def test_torch_start_is_told_apart() -> None:
    found = verdicts(kept_trainings(), FAULTY[1])
    assert found["v3", ACCURACY.name] == "NOT equivalent", found


def test_order_is_the_logs_in_both_frameworks() -> None:
    kept = kept_trainings()
    for side in (KERAS, LIGHTNING):
        assert is_in_order(kept, side)
        assert ("v1", "v2") not in overlaps(kept, side)
        assert final_interval(kept["v1"][side.name])[1] > 1 / 6, "v1 is above chance"


def test_page_tells_the_committed_figures() -> None:
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(kept, kept_trainings())


def test_a_training_that_cannot_be_judged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json: the run has not finished"):
        read_training(tmp_path)
    kept = kept_trainings()["v3"]
    ours, theirs = kept[LIGHTNING.name], kept[KERAS.name]
    with pytest.raises(UserError, match="both sides need the same, each once"):
        compare(ours[1:], theirs, ACCURACY)
    shorter = [Training(each.seed, {name: row[:-1] for name, row in each.figures.items()}) for each in ours]
    with pytest.raises(UserError, match="different numbers of epochs"):
        compare(shorter, theirs, ACCURACY)


@pytest.mark.bands
def test_all_seeds(keras_installed: None, drawn: Path, request: pytest.FixtureRequest) -> None:
    outcome = run_points(all_points(), OUT, workers=os.cpu_count() or 1)
    assert outcome.failed == {}
    trainings = {
        net: {
            side.name: [_training(side, net, seed) for seed in side.seeds[net]]
            for side in SIDES
            if net in side.seeds
        }
        for net in NETS
    }
    if request.config.getoption("--write-pages"):
        _write(trainings)
    assert "NOT equivalent" not in verdicts(trainings, LIGHTNING).values()


def _training(side: Side, net: str, seed: int) -> Training:
    run = side.point(net, seed).finished_run(OUT)
    assert run is not None
    return read_training(run)


def _write(trainings: dict[str, dict[str, list[Training]]]) -> None:
    data = read_config(find_config("bands/v3"))["data"]
    validating = int(data["validation_split"] * data["subset_per_class"])
    classes = len(data["classes"])
    kept = {
        "certificate": {
            "command": "pytest parity_tests -m bands --write-pages",
            "date": datetime.date.today().isoformat(),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
            "python": sys.version.split()[0],
            "seeds": {net: len(seeds) for net, seeds in SEEDS.items()},
            "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
        },
        "size": {
            "classes": ", ".join(data["classes"]),
            "training": classes * (data["subset_per_class"] - validating),
            "validation": classes * validating,
            "batch": data["batch_size"],
            "epochs": trainings["v3"][KERAS.name][0].epochs,
        },
        "trainings": {
            net: {side: to_json(rows) for side, rows in sides.items()} for net, sides in trainings.items()
        },
    }
    write_text_atomically(FIGURES, compact_json(kept))
    write_text_atomically(PAGE, page(kept, kept_trainings()))
    for net in NETS:
        curves = {side.title: curves_of(trainings[net][side.name]) for side in (KERAS, LIGHTNING)}
        title = f"{net}, {len(SEEDS[net])} seeds of each framework"
        save_figure(draw_seed_curves(curves, title), PAGE.with_name(f"accuracy_{net}.png"))
