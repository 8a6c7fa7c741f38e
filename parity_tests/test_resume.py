"""A fit that was interrupted and goes on ends as one that never was: the same bits, the same rows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from lightning_impl.data.batches import EpochBatches
from lightning_impl.resume import SECONDS_BEFORE_SECOND_SIGNAL, ExactResume
from parity_common.run_folder import METRIC_COLUMNS, RunFolder
from parity_tests.entry_point import draw_pictures, fit, start_fit
from parity_tests.interruption import interrupt_at

# 30 training images in 8 steps an epoch, the last of 2 images; 6 validation images in 2 batches.
STEPS = 8
EPOCHS = 3
MEASURED_TIMES = ("seconds", "images_per_second")
# By Albumentations, in workers or, without any, in the training process: the same bits.
AUGMENTED = (
    *("--data.augment.rotation_range", 30, "--data.augment.horizontal_flip", "true"),
    *("--data.augment_on", "workers", "--data.expand", "null"),
)
QUIET = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")


@dataclass
class Room:
    """A folder with pictures and a cache, and the runs in it."""

    path: Path
    images: Path

    def command(self, name: str, *more: object) -> list[object]:
        """A fit of v3 in no time, its run in `runs/NAME`; v3 has dropout and batch normalization."""
        more = (*AUGMENTED, *more)
        data = ("--data.root", self.images, "--data.image_size", "[16,16]", "--data.batch_size", 4)
        where = ("--data.cache_dir", self.path / "cache", "--runs", "runs", "--name", name)
        return ["-c", "v3", *data, *where, *QUIET, "--trainer.max_epochs", EPOCHS, *more]

    def whole(self, name: str, *more: object, prepare: Callable[[], None] | None = None) -> RunFolder:
        """A fit that is not interrupted."""
        fit(*self.command(name, *more), cwd=self.path, prepare=prepare)
        return self.run(name)

    def interrupted(
        self,
        name: str,
        place: str,
        step: int,
        *more: object,
        number: int = signal.SIGTERM,
        whole_group: bool = False,
        prepare: Callable[[], None] | None = None,
    ) -> RunFolder:
        """A fit that a signal stops at a place."""
        interruption = interrupt_at(place, step, number, whole_group=whole_group)
        words = self.command(name, *interruption, *more)
        done = fit(*words, cwd=self.path, code=128 + number, prepare=prepare)
        assert "Traceback" not in done.stderr
        assert done.stderr.splitlines()[-1].endswith(f"--resume {self.run(name).path.relative_to(self.path)}")
        return self.run(name)

    def goes_on(self, run: RunFolder, *more: object, prepare: Callable[[], None] | None = None) -> None:
        words = ("--resume", run.path, "--trainer.callbacks", "null", *more)
        done = fit(*words, cwd=self.path, prepare=prepare)
        assert "Warning" not in done.stderr, done.stderr

    def run(self, name: str) -> RunFolder:
        (path,) = (self.path / "runs" / name).iterdir()
        return RunFolder(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


@pytest.fixture
def room(tmp_path: Path, pictures: Path) -> Room:
    return Room(tmp_path, pictures)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> RunFolder:
    """Three epochs without an interruption and without workers, the measure of all."""
    return Room(tmp_path_factory.mktemp("whole"), pictures).whole("whole")


def load(run: RunFolder, name: str = "last") -> dict[str, Any]:
    return torch.load(run.checkpoints / f"{name}.ckpt", weights_only=True)


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Where two nested structures of tensors and plain values differ in anything, a bit or a type."""
    if type(ours) is not type(theirs):
        return [f"{where}: {type(ours)} against {type(theirs)}"]
    if isinstance(ours, dict):
        found = [f"{where}/{key}: on one side only" for key in ours.keys() ^ theirs.keys()]
        shared = [key for key in ours if key in theirs]
        return found + [
            line for key in shared for line in differences(ours[key], theirs[key], f"{where}/{key}")
        ]
    if isinstance(ours, list | tuple):
        if len(ours) != len(theirs):
            return [f"{where}: {len(ours)} items against {len(theirs)}"]
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for place, pair in pairs for line in differences(*pair, f"{where}/{place}")]
    same = torch.equal(ours, theirs) if isinstance(ours, Tensor) else ours == theirs
    return [] if same else [f"{where}: {ours!r} against {theirs!r}"]


def what_was_learnt(run: RunFolder) -> dict[str, Any]:
    """All that a run has reached, without the times it took and the paths it lies in."""
    last = load(run)
    loops = last["loops"]["fit_loop"]
    rows = [
        {key: row[key] for key in METRIC_COLUMNS if key not in MEASURED_TIMES} for row in run.read_metrics()
    ]
    scores = {
        key: {name: state[name] for name in ("best_model_score", "current_score", "kth_value")}
        for key, state in last["callbacks"].items()
        if "best_model_score" in state
    }
    assert len(scores) == 2
    return {
        "weights": last["state_dict"],
        "optimizer": last["optimizer_states"],
        "best": load(run, "best")["state_dict"],
        "best_optimizer": load(run, "best")["optimizer_states"],
        "scores": scores,
        "rows": rows,
        "steps": (last["epoch"], last["global_step"], loops["epoch_loop.state_dict"]),
        "batches": loops["epoch_loop.batch_progress"],
        "confusion": (run.path / "confusion.csv").read_text(),
    }


def assert_same(run: RunFolder, whole: RunFolder) -> None:
    found = differences(what_was_learnt(run), what_was_learnt(whole))
    assert not found, "\n".join(found[:20])


PLACES = {
    "first_step": ("on_train_batch_start", 1, 1),
    "middle_of_an_epoch": ("on_train_batch_end", STEPS + 3, STEPS + 3),
    "last_step_but_one": ("on_train_batch_start", 2 * STEPS - 1, 2 * STEPS - 1),
    "last_step": ("on_train_batch_start", 2 * STEPS, 2 * STEPS),
    "validation": ("on_validation_batch_start", 2 * STEPS, 2 * STEPS),
    "end_of_validation": ("on_validation_end", 2 * STEPS, 2 * STEPS + 1),
    "end_of_an_epoch": ("on_train_epoch_end", STEPS, STEPS + 1),
    "end_of_the_last_epoch": ("on_train_epoch_end", EPOCHS * STEPS, EPOCHS * STEPS),
}


@pytest.mark.process
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("case", PLACES)
def test_interrupted_fit_ends_as_uninterrupted(
    case: str, workers: int, room: Room, uninterrupted: RunFolder
) -> None:
    place, step, saved_step = PLACES[case]
    run = room.interrupted("run", place, step, "--data.num_workers", workers)
    assert load(run)["global_step"] == saved_step
    room.goes_on(run)
    assert_same(run, uninterrupted)


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_the_workers_too_loses_nothing(
    number: signal.Signals, room: Room, uninterrupted: RunFolder
) -> None:
    more = ("--data.num_workers", 2)
    run = room.interrupted(
        "run", "on_train_batch_start", 3, *more, number=number, whole_group=True, prepare=os.setsid
    )
    assert load(run)["global_step"] == 3
    room.goes_on(run)
    assert_same(run, uninterrupted)


@pytest.mark.process
def test_fit_stopped_twice_goes_on(room: Room, uninterrupted: RunFolder) -> None:
    run = room.interrupted("run", "on_train_batch_end", 3)
    fit(
        "--resume", run.path, *interrupt_at("on_train_batch_end", 5), cwd=room.path, code=128 + signal.SIGTERM
    )
    assert load(run)["global_step"] == 5
    room.goes_on(run)
    assert_same(run, uninterrupted)


@pytest.mark.process
def test_second_signal_ends_a_step_that_hangs(room: Room) -> None:
    words = room.command("run", *interrupt_at("on_train_batch_start", 3, hang=100))
    child = start_fit(*words, cwd=room.path)
    deadline = time.monotonic() + 60
    while not (child.outputs / "stdout").exists() or "hanging" not in child.stdout:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(SECONDS_BEFORE_SECOND_SIGNAL + 0.2)
    os.kill(child.process.pid, signal.SIGTERM)
    assert child.wait(20) == 128 + signal.SIGTERM
    assert "Traceback" not in child.stderr
    assert child.stderr.splitlines()[-1].startswith("stopped: at once; nothing was saved")


@pytest.mark.process
def test_trying_out_leaves_a_stopped_run_as_it_is(room: Room, uninterrupted: RunFolder) -> None:
    run = room.interrupted("run", "on_train_batch_end", 3)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    room.goes_on(run, "--trainer.fast_dev_run", "true")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    room.goes_on(run)
    assert_same(run, uninterrupted)


CHANGED = {
    ("--data.batch_size", 5): "data.batch_size changed since",
    ("--data.augment.rotation_range", 10): "data.augment changed since",
    ("--data.expand", 2): "data.expand changed since",
    ("--model.arch", "v2"): "was trained with model.arch v3, not v2: leave --model.arch out",
    ("--data.augment.rescale", 0.01): "leave --data.augment out",
}


@pytest.mark.process
def test_what_an_epoch_under_way_hangs_on_cannot_change(room: Room) -> None:
    run = room.interrupted("run", "on_train_batch_end", 3)
    for words, line in CHANGED.items():
        done = fit("--resume", run.path, "--trainer.callbacks", "null", *words, cwd=room.path, code=2)
        assert line in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert load(run)["global_step"] == 3


def without_step_seeds() -> None:
    ExactResume.on_train_batch_start = Callback.on_train_batch_start  # type: ignore[method-assign]


def without_means() -> None:
    ExactResume.on_load_checkpoint = Callback.on_load_checkpoint  # type: ignore[method-assign]


def without_place_in_the_order() -> None:
    EpochBatches.start_at = lambda self, epoch, batches: setattr(self, "epoch", epoch)  # type: ignore


@pytest.mark.process
@pytest.mark.parametrize(
    ("fault", "parted"),
    [
        (without_step_seeds, "/weights/"),
        (without_means, "/rows/1/loss"),
        (without_place_in_the_order, "/weights/"),
    ],
)
def test_each_part_of_the_resume_is_needed(
    fault: Callable[[], None], parted: str, room: Room, uninterrupted: RunFolder
) -> None:
    """Without it the same comparison fails, where it should."""
    place, step, _ = PLACES["middle_of_an_epoch"]
    run = room.interrupted("run", place, step)
    room.goes_on(run, prepare=fault)
    found = differences(what_was_learnt(run), what_was_learnt(uninterrupted))
    assert any(line.startswith(parted) for line in found), found
