"""A run whose last epoch, or none at all, was validated closes as any other, and says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_impl.report.run_files import RunFiles
from parity_common.run_folder import RunFolder
from parity_tests.entry_point import draw_pictures, fit


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def small(pictures: Path, *more: object) -> list[object]:
    """The command line of a v3 fit of two epochs of four steps."""
    data = ["--data.root", pictures, "--data.image_size", "[16,16]", "--data.batch_size", 8, "--data.expand"]
    return ["--config", "v3", *data, "null", "--data.cache_dir", "cache", "--trainer.max_epochs", 2, *more]


def only_run(parent: Path) -> Path:
    (run,) = (parent / "runs" / "v3").iterdir()
    return run


STOPPING = {"monitor": "val_loss", "patience": 3}
CUT_SHORT = {
    "first step": ("--trainer.max_steps", 1),
    "no validation": ("--trainer.limit_val_batches", 0),
    "validation after the end": ("--trainer.check_val_every_n_epoch", 3),
    "callbacks of Keras's": (
        "--trainer.max_steps",
        1,
        "--callbacks",
        json.dumps([{"EarlyStopping": STOPPING}]),
    ),
    "callbacks of Lightning's": (
        *("--trainer.max_steps", 1, "--trainer.callbacks"),
        json.dumps([{"class_path": "EarlyStopping", "init_args": STOPPING}]),
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("case", CUT_SHORT)
def test_run_without_validation_is_closed(case: str, pictures: Path, tmp_path: Path) -> None:
    done = fit(*small(pictures, *CUT_SHORT[case]), cwd=tmp_path)
    run = only_run(tmp_path)
    line = done.stdout.splitlines()[-1]
    last = run.relative_to(tmp_path) / "checkpoints/last.ckpt"
    assert line.startswith(f"no epoch was validated, so there is no best checkpoint; {last} holds epoch ")
    result = json.loads((run / "result.json").read_text())
    assert (result["best_val_accuracy"], result["best_epoch"], result["validated_epochs"]) == (None, None, 0)
    assert result["epochs"] == len(RunFolder(run).read_metrics())
    page = (run / "report.html").read_text()
    assert "No epoch was validated" in page
    assert "has not finished" not in page
    files = RunFiles(RunFolder(run))
    assert (files.is_finished, files.best_row, files.confusion, files.predictions) == (True, None, None, None)
    # The page is made again, and the weights are tested from last.ckpt, as the line of `test` says.
    for words, code in ((["report", run], 0), (["test", run], 2), (["test", last], 0)):
        command = [sys.executable, "-m", f"lightning_impl.{words[0]}", str(words[1])]
        tested = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert tested.returncode == code, tested.stderr
        assert "Traceback" not in tested.stderr


@pytest.mark.process
def test_last_epoch_without_validation_is_saved_and_said(pictures: Path, tmp_path: Path) -> None:
    words = ("--trainer.max_epochs", 3, "--trainer.check_val_every_n_epoch", 2)
    done = fit(*small(pictures, *words), cwd=tmp_path)
    run = only_run(tmp_path)
    line = done.stdout.splitlines()[-1]
    assert line.startswith("best validation accuracy ")
    assert "(epoch 2; chance is 33.3%; 2 of 3 epochs were not validated, the last among them)" in line
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 2
    assert torch.load(run / "checkpoints/best.ckpt", weights_only=True)["epoch"] == 1
    result = json.loads((run / "result.json").read_text())
    assert (result["epochs"], result["validated_epochs"], result["best_epoch"]) == (3, 1, 1)
    assert (run / "predictions.csv").exists()


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--trainer.max_epochs", 0), "trainer.max_epochs is 0"),
        (("--trainer.max_steps", 0), "trainer.max_steps is 0"),
        (("--trainer.limit_train_batches", 0), "trainer.limit_train_batches is 0"),
        (("--trainer.max_time", "00:00:00:00"), "trainer.max_time is 00:00:00:00"),
    ],
)
def test_nothing_trained_is_a_refusal(
    words: tuple[object, ...], line: str, pictures: Path, tmp_path: Path
) -> None:
    done = fit(*small(pictures, *words), cwd=tmp_path, code=2)
    said = done.stderr.splitlines()[-1]
    assert said.startswith("error: nothing was trained: ")
    assert line in said
    assert said.endswith(": give more")
    assert not list(tmp_path.glob("runs/v3/*")), "no run folder is left behind"


@pytest.mark.process
def test_run_that_trains_no_more_is_closed_again(pictures: Path, tmp_path: Path) -> None:
    fit(*small(pictures), cwd=tmp_path)
    run = only_run(tmp_path)
    before = (run / "result.json").read_text()
    (run / "result.json").unlink()
    done = fit("--resume", run, cwd=tmp_path)
    assert done.stdout.splitlines()[-1].startswith("best validation accuracy")
    assert json.loads((run / "result.json").read_text()) == json.loads(before)


@pytest.mark.process
def test_batches_to_overfit_are_the_same_in_every_epoch(pictures: Path, tmp_path: Path) -> None:
    ranges = ("rotation_range", "zoom_range", "width_shift_range", "height_shift_range")
    unchanged = [f"--data.augment.{name}=0" for name in ranges]
    # v1 draws nothing, and at this rate nothing moves: an epoch's loss tells which images it saw.
    still = ("--model.arch", "v1", "--model.learning_rate", 1e-12, "--trainer.max_epochs", 4)
    words = (*unchanged, "--data.augment.horizontal_flip", "false", *still)
    losses = {}
    for of_batches in ("overfit_batches", "limit_train_batches"):
        root = tmp_path / of_batches
        root.mkdir()
        fit(*small(pictures, *words, f"--trainer.{of_batches}", 1), cwd=root)
        losses[of_batches] = [row["loss"] for row in RunFolder(only_run(root)).read_metrics()]
    # float32's round-off of a mean over eight images.
    assert np.ptp(losses["overfit_batches"]) < 1e-6
    assert np.ptp(losses["limit_train_batches"]) > 1e-3, "other images give another loss"


@pytest.mark.process
def test_share_of_the_batches_is_overfitted(pictures: Path, tmp_path: Path) -> None:
    words = ("--trainer.overfit_batches", 0.5, "--data.batch_size", 3, "--data.num_workers", 2)
    fit(*small(pictures, *words), cwd=tmp_path)
    assert len(RunFolder(only_run(tmp_path)).read_metrics()) == 2


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--trainer.limit_val_batches", 0, "--callbacks", "[{EarlyStopping: {}}]"),
            "error: EarlyStopping watches val_loss, which takes that every epoch is validated: ",
        ),
        (
            ("--trainer.check_val_every_n_epoch", 2, "--callbacks", "[{ReduceLROnPlateau: {}}]"),
            "error: ReduceLROnPlateau watches val_loss, which takes that every epoch is validated: ",
        ),
    ],
)
def test_figure_that_no_epoch_will_have_is_refused_before(
    words: tuple[object, ...], line: str, pictures: Path, tmp_path: Path
) -> None:
    done = fit(*small(pictures, *words), cwd=tmp_path, code=2)
    assert done.stderr.splitlines()[-1].startswith(line)
    assert not list(tmp_path.glob("runs/v3/*")), "no run folder is left behind"


@pytest.mark.process
def test_validation_loss_that_is_no_number_stops_the_fit(pictures: Path, tmp_path: Path) -> None:
    # One step leaves finite losses behind it and weights with which nothing is.
    words = ("--model.optimizer", "sgd", "--model.learning_rate", 1e6, "--data.batch_size", 64)
    done = fit(*small(pictures, *words, "--data.image_size", "[32,32]"), cwd=tmp_path, code=1)
    line = done.stderr.splitlines()[-1]
    assert line.startswith("stopped: the validation loss is nan at epoch 1: lower --model.learning_rate"), (
        line
    )
