"""A frozen stage on kept features is the same training as one that runs the backbone in every epoch."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_impl.data.datamodule import ImageData
from lightning_impl.data.features import PART_FILE, open_features
from lightning_impl.data.processes import only_one
from lightning_impl.frozen_features import _manifest
from lightning_impl.module import Classifier
from parity_common.command_errors import UserError
from parity_common.final_arguments import WITH_STOCHASTIC_DEPTH
from parity_common.run_folder import RunFolder
from parity_tests.entry_point import draw_pictures, fit, start_fit

ON_FEATURES = "the head trains on the frozen backbone's features of 36 images"
FIRST_TRAINED = {
    "efficientnet_b0": "block7a_expand_conv",
    "efficientnet_lite0": "block7a_expand_conv",
    "mobilenet_v2": "block_16_expand",
    "resnet50": "conv5_block3_3_conv",
}
# Of two trainings in float64, relative to the largest.
SAME = 1e-12


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def words(pictures: Path, backbone: str = "efficientnet_lite0", *more: object) -> list[object]:
    """Two epochs of the first stage and one of the second, in float64."""
    arguments: dict[str, object] = {"backbone": backbone}
    if backbone in WITH_STOCHASTIC_DEPTH:
        arguments["drop_connect_rate"] = 0.0
    fine_tune = {"unfreeze_from": FIRST_TRAINED[backbone], "start_epoch": 2, "learning_rate": 1e-3}
    return [
        *("--config", "final-lite", "--model.weights", "none", "--data.root", pictures),
        *("--data.image_size", "[33,35]", "--data.batch_size", 8, "--data.cache_dir", "cache"),
        *("--model.arch_arguments", json.dumps(arguments), "--model.fine_tune", json.dumps(fine_tune)),
        *("--trainer.precision", "64-true", "--trainer.max_epochs", 3, *more),
    ]


def trained(folder: Path, *arguments: object) -> tuple[list[dict], dict[str, torch.Tensor], str]:
    """Metrics, the last weights and what was said of a fit in a folder of its own."""
    folder.mkdir(exist_ok=True)
    said = fit(*arguments, cwd=folder).stderr
    run = next((folder / "runs" / "final-lite").iterdir())
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return RunFolder(run).read_metrics(), saved["state_dict"], said


def apart(ours: Any, theirs: Any) -> float:
    """The largest difference of weights and metrics, relative to the largest value of each."""
    found = 0.0
    for name, tensor in theirs[1].items():
        scale = max(float(tensor.abs().max()), 1e-3)
        found = max(found, float((ours[1][name].double() - tensor.double()).abs().max()) / scale)
    for row, other in zip(ours[0], theirs[0], strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            found = max(found, abs(row[name] - other[name]) / max(abs(other[name]), 1e-3))
    return found


@pytest.mark.process
@pytest.mark.parametrize("backbone", FIRST_TRAINED)
def test_features_train_what_images_train(backbone: str, pictures: Path, tmp_path: Path) -> None:
    ours = trained(tmp_path / "features", *words(pictures, backbone))
    theirs = trained(tmp_path / "images", *words(pictures, backbone, "--data.cache_features", "false"))
    assert ON_FEATURES in ours[2]
    assert "frozen backbone" not in theirs[2]
    assert apart(ours, theirs) < SAME


@pytest.mark.process
def test_workers_and_a_later_start_take_them_too(pictures: Path, tmp_path: Path) -> None:
    first = trained(tmp_path / "first", *words(pictures))
    shared = ("--data.cache_dir", tmp_path / "first" / "cache", "--data.num_workers", 2)
    again = trained(tmp_path / "again", *words(pictures), *shared)
    assert "worked out" in first[2]
    assert "kept from an earlier start" in again[2]
    assert apart(again, first) < SAME


@pytest.mark.process
def test_other_features_are_another_training(pictures: Path, tmp_path: Path) -> None:
    """What is kept is what trains: without this the comparisons above would say nothing."""
    first = trained(tmp_path / "first", *words(pictures))
    (kept,) = (tmp_path / "first" / "cache").rglob("features.npy")
    features = np.load(kept)
    np.save(kept, features[::-1])
    cache = ("--data.cache_dir", tmp_path / "first" / "cache")
    assert apart(trained(tmp_path / "again", *words(pictures), *cache), first) > 1e-3


@pytest.mark.process
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("--data.augment.rotation_range", 10), "data.augment draws each image anew"),
        (
            ("--model.arch_arguments", '{"backbone": "efficientnet_lite0"}'),
            "it drops branches at random (blocks.block2b.drop): model.arch_arguments drop_connect_rate 0.0",
        ),
        (
            ("--trainer.precision", "bf16-true"),
            "features are kept with trainer.precision 32-true and 64-true",
        ),
    ],
)
def test_they_are_not_kept_where_they_change(
    change: tuple[object, ...], reason: str, pictures: Path, tmp_path: Path
) -> None:
    done = fit(*words(pictures), *change, "--trainer.max_epochs", 1, cwd=tmp_path)
    assert f"the frozen backbone runs in every epoch: {reason}" in done.stderr
    assert not list(tmp_path.rglob("features*"))


@pytest.mark.process
@pytest.mark.parametrize("epochs_before", [1, 2], ids=["in-the-first-stage", "before-the-second"])
def test_stopped_fit_goes_on_with_them(epochs_before: int, pictures: Path, tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", *words(pictures))
    cache = ("--data.cache_dir", tmp_path / "whole" / "cache")
    trained(tmp_path / "stopped", *words(pictures), *cache, "--trainer.max_epochs", epochs_before)
    (run,) = (tmp_path / "stopped" / "runs" / "final-lite").iterdir()
    said = fit("--resume", run, "--trainer.max_epochs", 3, cwd=tmp_path).stderr
    # Where the second stage comes next nobody needs them.
    assert ("kept from an earlier start" in said) is (epochs_before == 1)
    assert ("features" in said) is (epochs_before == 1)
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert apart((RunFolder(run).read_metrics(), saved["state_dict"]), whole) < SAME


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_is_worked_out(
    number: int, code: int, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    many = tmp_path_factory.mktemp("many")
    for name in ("dark", "light"):
        (many / name).mkdir()
        for place in range(400):
            pixels = np.full((8, 8, 3), place % 200, np.uint8)
            Image.fromarray(pixels).save(many / name / f"{place:03}.png")
    under_way = start_fit(*words(many), "--data.image_size", "[160,160]", cwd=tmp_path)
    while not any(part.stat().st_size > 200 for part in tmp_path.rglob(PART_FILE)):
        assert under_way.process.is_alive(), under_way.stderr
        time.sleep(0.05)
    os.kill(under_way.process.pid, number)
    assert under_way.wait() == code
    last = under_way.stderr.splitlines()[-1]
    assert re.fullmatch(r"stopped: features of \d+ of 800 images are kept, the same command goes on", last)
    assert not list((tmp_path / "runs").glob("*/*")), "no run folder is left"
    (part,) = tmp_path.rglob(PART_FILE)
    assert part.stat().st_size > 200


class Stop(Exception):
    pass


ROWS = np.random.RandomState(0).random_sample((101, 7))
CHUNK = 32


class Work:
    """Gives ROWS, and remembers what it was asked for."""

    def __init__(self, ends_at: int = -1) -> None:
        self.ends_at = ends_at
        self.asked: list[int] = []

    def __call__(self, first: int, last: int) -> np.ndarray:
        self.asked.append(first)
        if first == self.ends_at:
            raise Stop
        return ROWS[first:last]

    def open(self, folder: Path) -> np.ndarray:
        return open_features(folder, "a manifest", ROWS.shape, ROWS.dtype, self, CHUNK)


def test_what_was_worked_out_before_a_stop_is_kept(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        Work(ends_at=64).open(tmp_path)
    (part,) = tmp_path.rglob(PART_FILE)
    # As a kill in the middle of a write leaves it: whatever the last chunk holds is not trusted.
    with part.open("r+b") as file:
        file.seek(-100, 2)
        file.write(bytes(100) + b"half a row")
    work = Work()
    np.testing.assert_array_equal(work.open(tmp_path), ROWS)
    assert work.asked == [32, 64, 96]
    assert not list(tmp_path.rglob(PART_FILE))
    np.testing.assert_array_equal(work.open(tmp_path), ROWS)
    assert len(work.asked) == 3, "nothing is worked out again"


@pytest.mark.parametrize("length", [0, 60, 3000])
def test_damaged_features_are_worked_out_again(length: int, tmp_path: Path) -> None:
    Work().open(tmp_path)
    (whole,) = tmp_path.rglob("features.npy")
    os.truncate(whole, length)
    np.testing.assert_array_equal(Work().open(tmp_path), ROWS)
    np.save(whole, ROWS[:20])
    np.testing.assert_array_equal(Work().open(tmp_path), ROWS)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"something else, longer than a header is" * 9])
def test_a_damaged_beginning_is_begun_again(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        Work(ends_at=64).open(tmp_path)
    (part,) = tmp_path.rglob(PART_FILE)
    part.write_bytes(content)
    work = Work()
    np.testing.assert_array_equal(work.open(tmp_path), ROWS)
    assert work.asked[0] == 0


def test_a_signal_ends_the_wait_for_another_start(tmp_path: Path) -> None:
    Work().open(tmp_path)
    (whole,) = tmp_path.rglob("features.npy")
    asked = []

    def end() -> None:
        asked.append(time.monotonic())
        if len(asked) == 3:
            raise Stop

    with only_one(whole.parent), pytest.raises(Stop):
        open_features(tmp_path, "a manifest", ROWS.shape, ROWS.dtype, Work(), CHUNK, end_if_asked=end)


def test_another_manifest_is_worked_out_apart(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        found = open_features(
            tmp_path,
            f"manifest {value}",
            (2, 3),
            np.dtype("float64"),
            lambda first, last, value=value: np.full((last - first, 3), value),
            CHUNK,
        )
        assert found.tolist() == [[value] * 3] * 2


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write the features .*--data.cache_features false"):
        Work().open(tmp_path / "features")


def manifest_of(pictures: Path, cache: Path, **arguments: Any) -> str:
    """What a classifier's features hang on."""
    data = ImageData(str(pictures), image_size=(33, 35), cache_dir=str(cache), **arguments.pop("data", {}))
    data.prepare_data()
    own = {"backbone": "mobilenet_v2", **arguments.pop("arch_arguments", {})}
    torch.manual_seed(0)
    module = Classifier(
        "final", class_names=data.class_names, image_size=(33, 35), arch_arguments=own, **arguments
    )
    return _manifest(module, data, CHUNK)


def test_manifest_holds_what_features_hang_on_and_no_more(pictures: Path, tmp_path: Path) -> None:
    plain = manifest_of(pictures, tmp_path)
    assert plain == manifest_of(pictures, tmp_path)
    # The head's own, and the split: a study over them works features out once.
    assert plain == manifest_of(pictures, tmp_path, arch_arguments={"dropout": 0.4})
    assert plain == manifest_of(pictures, tmp_path, data={"validation_split": 0.4})
    for other in (
        {"standardise": {"rescale": None}},
        {"standardise": {"samplewise_center": True}},
        {"profile": "keras3"},
        {"arch_arguments": {"preprocessing": "torchvision"}},
        {"data": {"classes": ["light", "dark"]}},
    ):
        assert manifest_of(pictures, tmp_path, **other) != plain, other
