"""final from the command line: it trains in two stages, goes on in either, and refuses in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PROFILES

from lightning_impl.models.final import Final
from parity_common.fine_tune_settings import OUT_OF_REACH
from parity_common.run_folder import RunFolder
from parity_tests.entry_point import draw_pictures, fit

FINE_TUNE = "{unfreeze_from: block_16_expand, start_epoch: 1, learning_rate: 1.0e-4}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def small(*more: object) -> list[object]:
    """The command line of a final fit that takes seconds."""
    size = ["--data.image_size", "[32,32]", "--data.batch_size", 8, "--data.cache_dir", "cache"]
    return ["--config", "final", *size, "--model.weights", "none", *more]


def of_pictures(folder: Path, *more: object) -> list[object]:
    backbone = ["--model.arch_arguments", "{backbone: mobilenet_v2}", "--model.fine_tune", FINE_TUNE]
    return small("--data.root", folder, *backbone, *more)


def only_run(parent: Path) -> Path:
    (run,) = (parent / "runs" / "final").iterdir()
    return run


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.process
def test_final_trains_on_the_stand_in(tmp_path: Path) -> None:
    fine_tune = "{unfreeze_from: block7a_expand_conv, start_epoch: 1, learning_rate: 1.0e-4}"
    images = ["--data.stand_in_per_class", 3, "--data.validation_split", 0.4]
    done = fit(*small(*images, "--model.fine_tune", fine_tune, "--trainer.max_epochs", 2), cwd=tmp_path)
    assert OUT_OF_REACH in done.stdout
    run = only_run(tmp_path)
    rows = RunFolder(run).read_metrics()
    assert [row["learning_rate"] for row in rows] == [0.001, 0.0001]
    net = Final()
    net.freeze("block7a_expand_conv")
    trained = sum(parameter.requires_grad for parameter in net.parameters())
    # The second stage's optimizer holds what it trains, and nothing of the first's.
    assert len(checkpoint(run)["optimizer_states"][0]["state"]) == trained


@pytest.mark.final
@pytest.mark.parametrize("epochs_before", [1, 2], ids=["before-the-second-stage", "in-it"])
def test_resumed_fine_tuning_ends_where_an_unbroken_one_does(
    folder: Path, tmp_path: Path, epochs_before: int
) -> None:
    (tmp_path / "whole").mkdir()
    fit(*of_pictures(folder, "--trainer.max_epochs", 3), cwd=tmp_path / "whole")
    fit(*of_pictures(folder, "--trainer.max_epochs", epochs_before), cwd=tmp_path)
    run = only_run(tmp_path)
    fit("--resume", run, "--trainer.max_epochs", 3, cwd=tmp_path)
    ours, theirs = checkpoint(run), checkpoint(only_run(tmp_path / "whole"))
    assert ours["fine_tune_stage"] == theirs["fine_tune_stage"] == 2
    for name, tensor in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], tensor), name


@pytest.mark.final
@pytest.mark.parametrize("profile", PROFILES)
def test_keras_side_has_the_same_two_stages(
    keras_installed: None, folder: Path, tmp_path: Path, profile: str
) -> None:
    arguments = of_pictures(folder, "--trainer.max_epochs", 2, "--model.profile", profile)
    command = [sys.executable, "-m", "keras_reference.fit", *map(str, arguments)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert OUT_OF_REACH in done.stdout
    rows = RunFolder(only_run(tmp_path)).read_metrics()
    assert [row["learning_rate"] for row in rows] == [0.001, 0.0001]


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--model.weights", "missing.h5"], "error: model.weights: no such file missing.h5"),
        (
            ["--model.fine_tune", "{unfreeze_from: block_16_expnd, start_epoch: 1}"],
            'error: the backbone has no layer block_16_expnd (did you mean "block_16_expand"',
        ),
        (["--model.fine_tune", "{from: block_16_expand}"], "error: model.fine_tune has no from"),
        (
            ["--model.fine_tune", "{unfreeze_from: block_16_expand}"],
            "error: model.fine_tune lacks start_epoch",
        ),
        (["--callbacks", "[{EarlyStopping: {}}]"], "error: callbacks beside model.fine_tune"),
        (
            ["--model.arch", "v3", "--model.arch_arguments", "null", "--data.image_size", "[32,32]"],
            "error: model.fine_tune is for model.arch final: v3 is trained from the start",
        ),
    ],
)
def test_unusable_setting_is_one_line(folder: Path, tmp_path: Path, arguments: list[str], line: str) -> None:
    done = fit(*of_pictures(folder, *arguments), cwd=tmp_path, code=2)
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
