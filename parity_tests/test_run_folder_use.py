"""A run that goes on: one process at a time, its settings remembered, its leftovers removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from parity_common.command_errors import UserError
from parity_common.run_folder import RunFolder, remove_leftovers, write_atomically
from parity_common.run_lock import only_user
from parity_tests.entry_point import Fit, draw_pictures, fit, start_fit
from parity_tests.interruption import interrupt_at


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def small(pictures: Path, *more: object) -> list[object]:
    """The command line of a v3 fit that takes a second."""
    data = ["--data.root", pictures, "--data.image_size", "[16,16]", "--data.batch_size", 8, "--data.expand"]
    return ["--config", "v3", *data, "null", "--data.cache_dir", "cache", *more]


def only_run(parent: Path) -> Path:
    (run,) = (parent / "runs" / "v3").iterdir()
    return run


@pytest.fixture(scope="module")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of one epoch."""
    folder = tmp_path_factory.mktemp("finished")
    fit(*small(pictures, "--trainer.max_epochs", 1), cwd=folder)
    return only_run(folder)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of `finished`."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def running(run: Path, tmp_path: Path) -> Fit:
    """A fit that goes on with a run for long, once it trains."""
    child = start_fit("--resume", run, "--trainer.max_epochs", 10_000, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while len(RunFolder(run).read_metrics()) < 3:
        assert child.process.is_alive(), child.stderr
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return child


def files_of(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.process
def test_run_in_use_is_not_gone_on_with(run: Path, tmp_path: Path) -> None:
    child = running(run, tmp_path)
    try:
        done = fit("--resume", run, "--trainer.max_epochs", 20_000, cwd=tmp_path, code=2)
        line = done.stderr.splitlines()[-1]
        assert line.startswith(f"error: {run} is in use by process {child.process.pid} on "), line
        assert "Traceback" not in done.stderr
    finally:
        child.process.kill()
    assert child.wait() == -signal.SIGKILL
    # A kill lets go of it at once.
    rows = RunFolder(run).read_metrics()
    fit("--resume", run, "--trainer.max_epochs", len(rows) + 1, cwd=tmp_path)
    epochs = [row["epoch"] for row in RunFolder(run).read_metrics()]
    assert epochs == list(range(len(rows) + 1)), "no epoch twice, none lost"
    assert not (run / ".lock").exists()


@pytest.mark.process
def test_new_run_is_in_use_from_its_beginning(pictures: Path, tmp_path: Path) -> None:
    child = start_fit(*small(pictures, "--trainer.max_epochs", 10_000), cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/v3/*/checkpoints/last.ckpt")):
        assert child.process.is_alive(), child.stderr
        assert time.monotonic() < deadline
        time.sleep(0.05)
    done = fit("--resume", "last", cwd=tmp_path, code=2)
    child.process.kill()
    child.wait()
    assert f"is in use by process {child.process.pid}" in done.stderr.splitlines()[-1]


@pytest.mark.process
def test_lock_of_a_live_process_is_known_by_more_than_its_file(tmp_path: Path) -> None:
    # What a killed process leaves is no lock.
    (tmp_path / ".lock").write_text("process 1 on elsewhere\n")
    with only_user(tmp_path):
        code = (
            "import sys; from pathlib import Path; from parity_common.run_lock import only_user\n"
            "with only_user(Path(sys.argv[1])): pass"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert f"is in use by process {os.getpid()}" in done.stderr
    assert not (tmp_path / ".lock").exists()
    with only_user(tmp_path):
        pass


@pytest.mark.process
def test_leftovers_of_a_kill_are_removed_by_the_next_start(run: Path, tmp_path: Path) -> None:
    left = [
        run / "checkpoints/.last.ckpt.abc123.part",
        run / ".metrics.csv.x_1.part",
        run / ".config.yaml.y.part",
    ]
    for path in left:
        path.write_bytes(b"half")
    fit("--resume", run, "--trainer.max_epochs", 2, cwd=tmp_path)
    assert not list(run.rglob("*.part"))


def test_leftovers_of_a_live_writer_stay(tmp_path: Path) -> None:
    (tmp_path / ".last.h5.dead.part").write_bytes(b"")
    (tmp_path / ".last.h5.dead.part.h5").write_bytes(b"half")

    def write(temporary: Path) -> None:
        remove_leftovers(tmp_path)
        temporary.write_text("whole")

    write_atomically(tmp_path / "last.h5", write)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"last.h5": "whole"}


@pytest.mark.process
def test_changed_settings_are_remembered(run: Path, tmp_path: Path) -> None:
    first = (run / "config.yaml").read_text()
    overlay = tmp_path / "slower.yaml"
    overlay.write_text("model: {learning_rate: 1.0e-05}\n")
    fit("--resume", run, "--trainer.max_epochs", 2, "--config", overlay, cwd=tmp_path)
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert (saved["trainer"]["max_epochs"], saved["model"]["learning_rate"]) == (2, 1e-5)
    assert saved["resume"] is None, "--config of it starts a run of its own"
    # What drove the steps before is kept: 30 training images in 4 steps.
    assert (run / "config.until-step-4.yaml").read_text() == first
    assert json.loads((run / "result.json").read_text())["config"] == run.parent.name

    # The bare command goes on with them.
    fit("--resume", run, "--trainer.max_epochs", 3, cwd=tmp_path)
    done = fit("--resume", run, cwd=tmp_path)
    assert "replaces" not in done.stdout
    assert [row["learning_rate"] for row in RunFolder(run).read_metrics()] == [0.001, 1e-5, 1e-5]
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 3
    assert len(list(run.glob("config.until-step-*.yaml"))) == 2


@pytest.mark.process
def test_refused_settings_leave_a_finished_run_as_it_is(run: Path, tmp_path: Path) -> None:
    before = files_of(run)
    for words in (
        ("--trainer.limit_val_batches", 0.01),
        ("--trainer.callbacks+=DeviceStatsMonitor",),
        ("--callbacks", "[{EarlyStopping: {monitor: nothing}}]"),
        ("--model.arch", "v2"),
    ):
        done = fit("--resume", run, "--trainer.max_epochs", 2, *words, cwd=tmp_path, code=2)
        assert "Traceback" not in done.stderr
        assert files_of(run) == before, words


def test_former_config_survives_a_kill_before_the_first_save(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_config("first\n")
    run.change_config("second\n", 8)
    # Killed, and gone on with from the same step in yet another way.
    run.change_config("third\n", 8)
    run.change_config("third\n", 12)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"config.yaml": "third\n", "config.until-step-8.yaml": "first\n"}


@pytest.mark.process
@pytest.mark.parametrize(
    "inner", ["checkpoints/last.ckpt", "checkpoints", "config.yaml", "checkpoints/none.ckpt"]
)
def test_path_within_a_run_names_the_run(inner: str, run: Path, tmp_path: Path) -> None:
    done = fit("--resume", run / inner, cwd=tmp_path, code=2)
    assert done.stderr == f"error: cannot resume {run / inner}: give its run folder: --resume {run}\n"


@pytest.mark.process
def test_last_is_the_latest_run(finished: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(finished, tmp_path / "runs" / "v3" / name)
    os.utime(tmp_path / "runs/v3/one/checkpoints/last.ckpt")
    done = fit("--resume", "last", "--trainer.max_epochs", 2, cwd=tmp_path)
    assert done.stderr.splitlines()[0] == "going on with runs/v3/one"
    assert len(RunFolder(tmp_path / "runs/v3/one").read_metrics()) == 2
    done = fit("--resume", "last", "--runs", "elsewhere", cwd=tmp_path, code=2)
    assert (
        done.stderr
        == "error: cannot resume the last run: there is none in elsewhere; start one with --config\n"
    )


@pytest.fixture
def read_only(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of `finished` that this user may not write in; root may write anywhere but on such a mount."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    run = folder / "run"
    is_root = os.getuid() == 0
    if is_root:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"root cannot mount here: {mounted.stderr}")
    try:
        shutil.copytree(finished, run)
        if is_root:
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        else:
            for path in (run, run / "checkpoints"):
                path.chmod(0o555)
        yield run
    finally:
        if is_root:
            subprocess.run(["umount", "-l", folder], check=True)
        else:
            for path in (run, run / "checkpoints"):
                path.chmod(0o755)


@pytest.mark.process
def test_run_that_cannot_be_written_is_one_line(read_only: Path, tmp_path: Path) -> None:
    done = fit("--resume", read_only, "--trainer.max_epochs", 2, cwd=tmp_path, code=2)
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"error: cannot write in {read_only} ("), line
    assert line.endswith("): copy it to where you may write, and use the copy")
    words = [sys.executable, "-m", "lightning_impl.report", str(read_only)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot write in {read_only} (")
    assert done.stderr.count("\n") == 1


@pytest.mark.process
def test_home_folder_is_found_in_options_and_configs(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "images").symlink_to(pictures)
    (home / "mine.yaml").write_text("runs: ~/results\ndata: {root: ~/images, cache_dir: ~/cached}\n")
    work = tmp_path / "work"
    work.mkdir()
    words = [
        "--config",
        "v3",
        "--config",
        "~/mine.yaml",
        "--data.image_size",
        "[16,16]",
        "--data.expand",
        "null",
    ]
    _with_home(home, [*words, "--trainer.max_epochs", 1], work)
    (run,) = (home / "results" / "v3").iterdir()
    assert (home / "cached").is_dir()
    _with_home(home, ["--resume", f"~/results/v3/{run.name}", "--trainer.max_epochs", 2], work)
    assert len(RunFolder(run).read_metrics()) == 2
    assert {path.name for path in work.iterdir() if not path.name.startswith(".outputs")} == set()


def _with_home(home: Path, words: list[object], cwd: Path) -> None:
    command = [sys.executable, "-m", "lightning_impl.fit", *map(str, words)]
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.process
def test_home_folder_of_nobody_is_one_line(tmp_path: Path) -> None:
    done = fit("--config", "~no_such_user/v3.yaml", cwd=tmp_path, code=2)
    assert done.stderr == (
        "error: ~no_such_user/v3.yaml: ~no_such_user has no home folder here: write the path out\n"
    )


@pytest.mark.process
def test_relative_root_that_is_not_found_says_where_it_was_looked_for(pictures: Path, tmp_path: Path) -> None:
    work, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    for folder in (work, elsewhere):
        folder.mkdir()
    relative = os.path.relpath(pictures, work)
    fit(*small(pictures, "--data.root", relative, "--trainer.max_epochs", 1), cwd=work)
    run = only_run(work)
    moved = Path(shutil.move(run, tmp_path / "elsewhere" / "run"))
    done = fit(
        "--resume", moved, "--data.root", "images/none", "--trainer.max_epochs", 2, cwd=elsewhere, code=2
    )
    where = f"(a relative path; it was looked for at {elsewhere / 'images/none'})"
    line = f"error: no such folder images/none {where}: give data.root a folder of class folders"
    assert done.stderr.splitlines()[-1] == line


@pytest.mark.process
def test_config_of_another_version_names_the_remedy(run: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["old_option"] = 3
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    done = fit("--resume", run, "--trainer.max_epochs", 2, cwd=tmp_path, code=2)
    line = done.stderr.splitlines()[-1]
    assert line.startswith(
        f"error: {run}/config.yaml: unknown key data.old_option: data takes root, source, "
    )
    assert line.endswith(
        "; if another version of the project wrote this run's config, mend it or use that version"
    )


@pytest.mark.process
def test_resume_belongs_to_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("resume: runs/v3/x\n")
    done = fit("--config", "v3", "--config", "odd.yaml", cwd=tmp_path, code=2)
    assert done.stderr == "error: odd.yaml: resume is for the command line: give --resume runs/v3/x\n"


def test_lock_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write in .*/none"), only_user(tmp_path / "none"):
        pass


@pytest.mark.full
@pytest.mark.parametrize("place", ["on_train_batch_start", "on_validation_start"])
def test_settings_of_a_run_that_is_stopped_again_are_remembered(
    place: str, run: Path, tmp_path: Path
) -> None:
    # Steps 5 to 8 are the second epoch's.
    step = {"on_train_batch_start": 5, "on_validation_start": 8}[place]
    words = ("--trainer.max_epochs", 3, "--model.learning_rate", 1e-5, *interrupt_at(place, step))
    fit("--resume", run, *words, cwd=tmp_path, code=128 + signal.SIGTERM)
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert (saved["trainer"]["max_epochs"], saved["model"]["learning_rate"]) == (3, 1e-5)
    done = fit("--resume", run, "--trainer.callbacks", "null", cwd=tmp_path)
    assert "replaces" not in done.stdout
    assert [row["learning_rate"] for row in RunFolder(run).read_metrics()] == [0.001, 1e-5, 1e-5]
