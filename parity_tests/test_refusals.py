"""What Lightning refuses is one line and leaves nothing; a defect of code keeps its traceback."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning import seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback

from lightning_impl.__main__ import COMMANDS
from lightning_impl.refusals import refusals_in_one_line
from parity_common.command_errors import UserError
from parity_common.extras import how_to_install
from parity_common.image_memory import memory_refused
from parity_tests.entry_point import draw_pictures, fit


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def small(pictures: Path, *more: object) -> list[object]:
    data = ["--data.root", pictures, "--data.image_size", "[16,16]", "--data.expand", "null"]
    return ["--config", "v3", *data, "--data.cache_dir", "cache", "--trainer.max_epochs", 1, *more]


def callback(name: str, **arguments: object) -> tuple[str, str]:
    return "--trainer.callbacks", json.dumps([{"class_path": name, "init_args": arguments}])


class FailsInItsOwnCode(Callback):
    """A user's callback with a defect.

    Args:
        place: The hook.
    """

    def __init__(self, place: str = "on_train_start") -> None:
        def fail(*arguments, **named) -> None:
            raise ValueError("a defect of the user's own")

        if place == "__init__":
            fail()
        setattr(self, place, fail)


OWN = f"{__name__}.FailsInItsOwnCode"
REFUSED = {
    "share of batches": (("--trainer.limit_val_batches", 0.01), "Please increase the `limit_val_batches`"),
    "share of training": (("--trainer.limit_train_batches", 0.01), "increase the `limit_train_batches`"),
    "interval": (("--trainer.val_check_interval", 100), "`val_check_interval` (100) must be less than"),
    "accumulation": (
        ("--trainer.accumulate_grad_batches", 0),
        "accumulate_grad_batches is 0: give 1 or more",
    ),
    "spawn": (("--trainer.strategy", "ddp_spawn"), "trainer.strategy ddp_spawn starts processes"),
    "no logger": (callback("DeviceStatsMonitor"), "Cannot use `DeviceStatsMonitor` callback with"),
    "no config": (callback("Timer", duration="00:00:01:00"), "config.yaml cannot hold these settings: "),
    "in training": (
        callback("ModelPruning", pruning_fn="l1_unstructured"),
        "lightning.pytorch.callbacks.pruning",
    ),
    "attribute": (callback("BackboneFinetuning"), "'Classifier' object has no attribute 'backbone'"),
    "construction": (callback("EarlyStopping", monitor="loss", mode="up"), "`mode` can be min, max, got up"),
    "precision": (("--trainer.precision", "16-true", "--trainer.accelerator", "tpu"), "trainer settings: "),
    "class": (callback("nowhere.Callback"), "trainer.callbacks: Callback: No module named 'nowhere'"),
    "monitor": (
        callback("EarlyStopping", monitor="val_lss"),
        'EarlyStopping: there is no figure val_lss (did you mean "val_loss"?): monitor one of loss, ',
    ),
    "checkpoint": (callback("ModelCheckpoint", monitor="acc"), "ModelCheckpoint: there is no figure acc"),
    "Keras's monitor": (
        ("--callbacks", "[{ReduceLROnPlateau: {monitor: val_los}}]"),
        'callbacks: ReduceLROnPlateau: there is no figure val_los (did you mean "val_loss"?)',
    ),
    "memory": (
        ("--data.image_size", "[1000000,1000000]"),
        "a batch of 32 images takes 357,628 GiB of memory, this machine has ",
    ),
}


@pytest.mark.full
@pytest.mark.parametrize("case", REFUSED)
def test_refusal_is_one_line_and_leaves_nothing(case: str, pictures: Path, tmp_path: Path) -> None:
    words, said = REFUSED[case]
    done = fit(*small(pictures, *words), cwd=tmp_path, code=2)
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert said in line
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/v3/*")), "no run folder is left behind"


@pytest.mark.process
@pytest.mark.parametrize("place", ["__init__", "setup", "on_train_start", "on_train_batch_end"])
def test_defect_keeps_its_traceback(place: str, pictures: Path, tmp_path: Path) -> None:
    done = fit(*small(pictures, *callback(OWN, place=place)), cwd=tmp_path, code=1)
    assert "Traceback" in done.stderr
    assert "a defect of the user's own" in done.stderr
    assert "FailsInItsOwnCode" in done.stderr or "in fail" in done.stderr
    assert not list(tmp_path.glob("runs/v3/*")), "an empty run folder is of no use either"


@pytest.mark.process
@pytest.mark.parametrize(
    ("logger", "module", "wanted"),
    [
        ("WandbLogger", "wandb", "pip install wandb"),
        ("MLFlowLogger", "mlflow", "pip install mlflow"),
        ("CometLogger", "comet_ml", "pip install comet-ml"),
        ("TensorBoardLogger", "tensorboard", how_to_install("tensorboard")),
    ],
)
def test_logger_that_is_not_installed_names_its_package(
    logger: str, module: str, wanted: str, pictures: Path, tmp_path: Path
) -> None:
    if importlib.util.find_spec(module):
        pytest.skip(f"{module} is installed")
    done = fit(*small(pictures, "--trainer.logger", logger), cwd=tmp_path, code=2)
    assert done.stderr == (
        f"error: trainer.logger {logger} needs a package that is not installed: {wanted}\n"
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.process
def test_logger_without_a_place_writes_into_the_run_folder(pictures: Path, tmp_path: Path) -> None:
    fit(*small(pictures, "--trainer.logger", "true"), cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {"runs", "cache"}
    assert list(tmp_path.glob("runs/v3/*/lightning_logs/version_0/metrics.csv"))


@pytest.mark.process
def test_missing_number_of_epochs_is_said(pictures: Path, tmp_path: Path) -> None:
    stops = callback("EarlyStopping", monitor="loss", min_delta=1e9, patience=1)
    words = ["--data.root", pictures, "--data.image_size", "[16,16]", "--data.cache_dir", "cache", *stops]
    done = fit(*words, cwd=tmp_path)
    line = "trainer.max_epochs is not set: 1000 epochs, Lightning's default; --trainer.max_epochs N sets it"
    assert done.stderr.splitlines().count(line) == 1
    assert "`max_epochs` was not set" not in done.stderr


def test_refusals_are_told_by_the_code_they_passed_through() -> None:
    with pytest.raises(ZeroDivisionError), refusals_in_one_line("settings"):
        1 / 0  # noqa: B018 - a defect of this very code
    with pytest.raises(UserError, match="settings: wrong"), refusals_in_one_line("settings"):
        raise MisconfigurationException("wrong")
    with pytest.raises(UserError, match=r"^mine$"), refusals_in_one_line("settings"):
        raise UserError("mine")
    with (
        pytest.raises(UserError, match=r"settings: .* \(refused in lightning.fabric.utilities.seed\)"),
        refusals_in_one_line("settings"),
    ):
        seed_everything(-1)


def test_memory_that_is_not_there_is_named() -> None:
    with (
        pytest.raises(
            UserError, match=r"^the net takes 3,725,290 GiB for one array: give a smaller data\.im"
        ),
        memory_refused("the net"),
    ):
        torch.empty(10**15)
    with pytest.raises(RuntimeError, match="shape"), memory_refused("the net"):
        torch.zeros(2).reshape(3)


@pytest.mark.process
def test_package_that_is_no_command_says_which_there_are() -> None:
    done = subprocess.run([sys.executable, "-m", "lightning_impl"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: lightning_impl is no command: python -m one of lightning_impl.fit, "
    )
    for name in COMMANDS:
        assert importlib.util.find_spec(f"lightning_impl.{name.replace(' ', '.')}"), name
