"""The fit as a user meets it: processes of the real entry point on a small real folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from parity_common.config_files import config_names, find_config, read_config
from parity_common.run_folder import CLOSING_FILES, METRIC_COLUMNS, RunFolder
from parity_tests.entry_point import Fit, draw_pictures, fit, start_fit
from parity_tests.run_folder_checks import check_closing_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def small(folder: Path, *more: object) -> list[object]:
    """The command line of a v3 fit that takes a second."""
    data = [
        "--data.root",
        folder,
        "--data.image_size",
        "[32,32]",
        "--data.batch_size",
        8,
        "--data.cache_dir",
        "cache",
    ]
    return ["--config", "v3", *data, *more]


def only_run(parent: Path) -> Path:
    (run,) = (parent / "runs" / "v3").iterdir()
    return run


def smaller_side(picture: Path) -> int:
    with Image.open(picture) as image:
        image.load()
        return min(image.size)


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["state_dict"]


@pytest.mark.process
def test_fit_is_a_module_to_run(folder: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "lightning_impl.fit",
        *map(str, small(folder, "--trainer.max_epochs", 1)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "best validation accuracy" in done.stdout
    # What the folder holds, the decoding's line, where the data lies and is augmented, the epoch's: no
    # warning, no log noise.
    lines = done.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["images:", "decoding", "data:", "epoch"], done.stderr
    assert "augment_on device (without workers" in lines[2]


@pytest.mark.process
def test_fit_leaves_the_whole_run_folder(folder: Path, tmp_path: Path) -> None:
    done = fit(*small(folder, "--trainer.max_epochs", 4), cwd=tmp_path)
    run = only_run(tmp_path)
    check_closing_files(RunFolder(run), folder, 32)
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert names - set(CLOSING_FILES) == {
        "config.yaml",
        "metrics.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
    }
    closing = done.stdout.strip().splitlines()[-1]
    assert closing.startswith("best validation accuracy")
    assert closing.endswith(f"run folder {run.relative_to(tmp_path)}")
    rows = RunFolder(run).read_metrics()
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert all(row[column] is not None for row in rows for column in METRIC_COLUMNS)
    result = json.loads((run / "result.json").read_text())
    assert result["best_val_accuracy"] == max(row["val_accuracy"] for row in rows)
    assert (result["training_images"], result["validation_images"], result["classes"]) == (30, 6, 3)
    # As Keras counts the same net (test_keras_fit.py).
    assert result["parameters"] == 375_363
    counts = np.loadtxt(run / "confusion.csv", delimiter=",", skiprows=1, usecols=(1, 2, 3))
    assert counts.sum() == 6
    for picture in ("curves.png", "confusion.png"):
        assert smaller_side(run / picture) > 300
    learnt = weights(run / "checkpoints/last.ckpt")
    assert float(learnt["net.bn1.running_mean"].abs().max()) > 0
    # The saved config alone repeats the run, bit for bit.
    fit("--config", run / "config.yaml", "--runs", "again", cwd=tmp_path)
    (again,) = (tmp_path / "again" / "config").iterdir()
    repeated = weights(again / "checkpoints/last.ckpt")
    assert learnt.keys() == repeated.keys()
    assert all(torch.equal(learnt[name], repeated[name]) for name in learnt)
    # Another seed does not, so the comparison can fail.
    fit("--config", run / "config.yaml", "--runs", "other", "--seed_everything", 7, cwd=tmp_path)
    (other,) = (tmp_path / "other" / "config").iterdir()
    assert not torch.equal(
        weights(other / "checkpoints/last.ckpt")["net.conv1.weight"], learnt["net.conv1.weight"]
    )


@pytest.mark.process
def test_fast_dev_run_keeps_nothing(folder: Path, tmp_path: Path) -> None:
    done = fit(*small(folder, "--trainer.fast_dev_run", "true"), cwd=tmp_path)
    assert "nothing was kept" in done.stdout
    assert not list(tmp_path.glob("runs/v3/*"))


@pytest.mark.process
def test_later_config_and_option_win(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/mine.yaml").write_text("model:\n  learning_rate: 0.5\n  optimizer: sgd\n")
    printed = fit(
        "--config", "v3", "-c", "mine", "--model.learning_rate", 3e-4, "--print_config", cwd=tmp_path
    )
    config = yaml.safe_load(printed.stdout)
    assert config["model"]["learning_rate"] == 3e-4
    assert config["model"]["optimizer"] == "sgd"
    assert config["model"]["arch"] == "v3"
    assert not (tmp_path / "runs").exists()


@pytest.mark.process
@pytest.mark.parametrize("name", config_names())
def test_config_is_read_alike_on_both_sides(name: str, tmp_path: Path) -> None:
    # An overlay names no model: it is read over a whole config, as it is meant to be.
    overlaid = [] if "model" in read_config(find_config(name)) else ["--config", "v3"]
    arguments = [*overlaid, "--config", name, "--print_config"]
    ours = yaml.safe_load(fit(*arguments, cwd=tmp_path).stdout)
    done = subprocess.run(
        [sys.executable, "-m", "keras_reference.fit", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    theirs = yaml.safe_load(done.stdout)
    assert theirs["seed_everything"] == ours["seed_everything"]
    for group in ("model", "data"):
        assert theirs[group] == ours[group]
    assert theirs["trainer"]["max_epochs"] == ours["trainer"]["max_epochs"]
    assert theirs["callbacks"] == ours["callbacks"]


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--config", "v33"],
            f'error: no config "v33" (did you mean "v3"?): one of {", ".join(config_names())}',
        ),
        (["--config", "nope.yaml"], "error: no config file nope.yaml"),
        (["--config", "twice.yaml"], "error: twice.yaml line 3: key model.arch is given twice"),
        (["--config", "nan.yaml"], "error: nan.yaml: model.learning_rate is nan"),
        (["--config", "bytes.yaml"], "error: bytes.yaml"),
        (["--config", "list.yaml"], "error: list.yaml: holds no keys"),
        (["--resume", "runs/none"], "error: cannot resume runs/none: it has no config.yaml"),
    ],
)
def test_unusable_config_is_one_quick_line(arguments: list[str], line: str, tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text("model:\n  arch: v3\n  arch: v2\n")
    (tmp_path / "nan.yaml").write_text("model:\n  learning_rate: .nan\n")
    (tmp_path / "bytes.yaml").write_bytes(bytes(np.random.RandomState(0).bytes(2000)))
    (tmp_path / "list.yaml").write_text("- 1\n")
    done = fit(*arguments, cwd=tmp_path, code=2)
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--model.learning_rat", "1"], "error: unknown option --model.learning_rat (did you mean"),
        (["--model.arch", "v9"], "error: model.arch is v9: one of v1, v2, v3"),
        (["--model.learning_rate", "0"], "error: model.learning_rate is 0.0: give a number above 0"),
        (["--data.batch_size", "0"], "error: data.batch_size is 0: give 1 or more"),
        (["--data.validation_split", "1.5"], "error: data.validation_split is 1.5"),
        (["--data.image_size", "[8,64]"], "error: data.image_size [8, 64] is too small for v3"),
        (["--data.root", "missing"], "error: no such folder missing"),
        (["--trainer.max_epoch", "1"], "error: unknown option --trainer.max_epoch (did you mean"),
        (["--trainer.accelerator", "none_such"], "error: trainer settings:"),
        (
            ["--model.arch_arguments", "{depth: 3}"],
            "error: model.arch_arguments: v3 has no depth; it takes none",
        ),
        (
            ["--model.optimizer_arguments", "{clipnrm: 1}"],
            'error: Nadam has no argument "clipnrm"',
        ),
        (
            ["--model.schedule", "{CosinDecay: {}}"],
            'error: no schedule CosinDecay (did you mean "CosineDecay"?)',
        ),
        (["--model.schedule", "{CosineDecay: {}}"], "error: CosineDecay needs decay_steps"),
        (["--callbacks", "[{EarlyStoping: {}}]"], "error: callbacks: no callback EarlyStoping (did you mean"),
        (
            ["--callbacks", "[{EarlyStopping: {patients: 3}}]"],
            "error: callbacks: EarlyStopping has no argument patients (did you mean",
        ),
        (
            ["--callbacks", "[{ModelCheckpoint: {}}]"],
            "error: callbacks: ModelCheckpoint is not set here: every run keeps best and last",
        ),
    ],
)
def test_bad_value_is_one_line(arguments: list[str], line: str, folder: Path, tmp_path: Path) -> None:
    done = fit(*small(folder), *arguments, cwd=tmp_path, code=2)
    assert done.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("runs/v3/*")), "no run folder is left behind"


@pytest.mark.process
def test_help_and_version_answer_without_torch(tmp_path: Path) -> None:
    for option, says in (
        ("--help", "usage: python -m lightning_impl.fit"),
        ("--version", "keras-lightning-parity "),
    ):
        code = (
            f"import sys; sys.argv = ['fit', '{option}']; from lightning_impl import fit; fit.main(); "
            "sys.exit('torch' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0
        assert done.stdout.startswith(says)
        assert done.stdout.count("\n") < 40


def start(folder: Path, tmp_path: Path, *more: object) -> Fit:
    """A fit that would go on for long, returned once its first epoch is written."""
    child = start_fit(*small(folder, "--trainer.max_epochs", 10_000, *more), cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/v3/*/checkpoints/last.ckpt")):
        assert child.process.is_alive(), child.stderr
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return child


@pytest.mark.process
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGINT, 2)])
def test_stopped_fit_goes_on_where_it_stopped(
    number: signal.Signals, workers: int, folder: Path, tmp_path: Path
) -> None:
    child = start(folder, tmp_path, "--data.num_workers", workers)
    os.kill(child.process.pid, number)
    assert child.wait() == 128 + number
    errors = child.stderr
    assert "Traceback" not in errors
    run = only_run(tmp_path)
    hint = f"python -m lightning_impl.fit --resume {run.relative_to(tmp_path)}"
    assert errors.splitlines()[-1].startswith("stopped: ")
    assert hint in errors
    done_epochs = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["epoch"] + 1
    more = ("--trainer.max_epochs", done_epochs + 1, "--model.learning_rate", 1e-5)
    done = fit("--resume", run.relative_to(tmp_path), *more, cwd=tmp_path)
    assert "learning rate 1e-05 replaces the checkpoint's 0.001" in done.stdout
    rows = RunFolder(run).read_metrics()
    assert [row["epoch"] for row in rows] == list(range(done_epochs + 1)), "no epoch twice, none lost"
    assert rows[-1]["learning_rate"] == 1e-5
    assert (run / "result.json").exists()


@pytest.mark.process
def test_killed_fit_leaves_nothing_broken(folder: Path, tmp_path: Path) -> None:
    for moment in (0.0, 0.05, 0.11, 0.17):
        child = start(folder, tmp_path)
        time.sleep(moment)
        child.process.kill()
        assert child.wait() == -signal.SIGKILL
        run = only_run(tmp_path)
        for checkpoint in run.glob("checkpoints/*.ckpt"):
            assert weights(checkpoint)
        assert RunFolder(run).read_metrics()
        os.rename(run, tmp_path / f"killed{moment}")
    # The same command over the same cache ends well; so does going on with the killed run.
    fit(*small(folder, "--trainer.max_epochs", 1), cwd=tmp_path)
    epochs = len(RunFolder(tmp_path / "killed0.17").read_metrics())
    fit("--resume", "killed0.17", "--trainer.max_epochs", epochs + 1, cwd=tmp_path)


@pytest.mark.process
def test_damaged_checkpoint_is_named(folder: Path, tmp_path: Path) -> None:
    fit(*small(folder, "--trainer.max_epochs", 1), cwd=tmp_path)
    run = only_run(tmp_path)
    with open(run / "checkpoints/last.ckpt", "r+b") as file:
        file.truncate(1000)
    done = fit("--resume", run, "--trainer.max_epochs", 2, cwd=tmp_path, code=2)
    assert done.stderr.splitlines()[-1].startswith(f"error: {run}/checkpoints/last.ckpt is damaged")
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_loss_that_is_no_number_stops_the_fit(folder: Path, tmp_path: Path) -> None:
    options = ("--model.optimizer", "sgd", "--model.learning_rate", 1e30, "--trainer.max_epochs", 5)
    done = fit(*small(folder, *options), cwd=tmp_path, code=1)
    assert "stopped: the loss is" in done.stderr
    assert "lower --model.learning_rate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_callbacks_of_a_config_act(folder: Path, tmp_path: Path) -> None:
    # No figure ever falls by so much.
    callbacks = [
        {"ReduceLROnPlateau": {"patience": 2, "factor": 0.5, "min_delta": 1e9}},
        {"EarlyStopping": {"patience": 4, "min_delta": 1e9}},
    ]
    slow = ("--model.optimizer", "sgd", "--model.learning_rate", 0.5)
    slow = (*slow, "--trainer.max_epochs", 9)
    fit(*small(folder, *slow, "--callbacks", json.dumps(callbacks)), cwd=tmp_path)
    rows = RunFolder(only_run(tmp_path)).read_metrics()
    assert [row["learning_rate"] for row in rows] == [0.5, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.process
def test_schedule_of_a_config_acts_and_goes_on(folder: Path, tmp_path: Path) -> None:
    # 30 training images in 4 steps an epoch.
    steps = {"PiecewiseConstantDecay": {"boundaries": [6], "values": [0.01, 0.002]}}
    words = ("--model.optimizer", "sgd", "--model.schedule", json.dumps(steps), "--data.expand", "null")
    fit(*small(folder, *words, "--trainer.max_epochs", 1), cwd=tmp_path)
    run = only_run(tmp_path)
    fit("--resume", run, "--trainer.max_epochs", 3, cwd=tmp_path)
    assert [row["learning_rate"] for row in RunFolder(run).read_metrics()] == [0.01, 0.002, 0.002]
    saved = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert saved["lr_schedulers"][0]["last_epoch"] == 12
    plateau = ("--callbacks", json.dumps([{"ReduceLROnPlateau": {}}]))
    done = fit(*small(folder, *words, *plateau, "--name", "both"), cwd=tmp_path, code=2)
    assert done.stderr.splitlines()[-1].startswith("error: ReduceLROnPlateau cannot change a learning rate")


def fail_to_draw() -> None:
    """Makes a fit's drawing fail, as on a full disk."""
    from lightning_impl import closing

    def draw_run(run: RunFolder) -> None:
        raise OSError(28, "No space left on device")

    closing.draw_run = draw_run  # type: ignore[assignment]


@pytest.mark.process
def test_page_that_cannot_be_made_does_not_cost_the_run(folder: Path, tmp_path: Path) -> None:
    done = fit(*small(folder, "--trainer.max_epochs", 1), cwd=tmp_path, prepare=fail_to_draw, code=1)
    run = only_run(tmp_path)
    assert json.loads((run / "result.json").read_text())["epochs"] == 1
    assert done.stdout.splitlines()[-1].startswith("best validation accuracy")
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: the run's page was not made (OSError(28, 'No space left on device')): ")
    command = line.rpartition(": ")[2].split()
    assert command[:3] == ["python", "-m", "lightning_impl.report"]
    assert not (run / "report.html").exists()
    subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert "best validation accuracy" in (run / "report.html").read_text()
