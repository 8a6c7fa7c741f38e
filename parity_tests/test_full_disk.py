"""A full disk is one line that says so, what is kept and how it goes on; nothing is half-written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lightning_impl.callbacks import AtomicCheckpointIO
from lightning_impl.output_file import new_folder
from parity_common.command_errors import UserError, run_command
from parity_common.predictions import write_predictions
from parity_common.run_folder import RunFolder, write_text_atomically
from parity_common.write_errors import why_not_written
from parity_tests.entry_point import draw_pictures, fit, run
from parity_tests.full_disk import full_at, no_file_above

NO_SPACE = os.strerror(errno.ENOSPC)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def small(images: Path, *more: object) -> list[object]:
    data = ("--data.root", images, "--data.image_size", "[16,16]", "--data.cache_dir", "cache")
    quiet = ("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false")
    return ["-c", "v3", *data, *quiet, "--data.expand", "null", "--trainer.max_epochs", 1, *more]


def last_line(text: str) -> str:
    assert "Traceback" not in text
    return text.splitlines()[-1]


@pytest.mark.process
def test_image_cache_without_room_is_one_line(images: Path, tmp_path: Path) -> None:
    """In one process: without the remedy a mapped file ended it with a bus error."""
    command = small(images, "--data.image_size", "[128,128]")
    done = fit(*command, cwd=tmp_path, prepare=partial(no_file_above, 1 << 20), code=2)
    line = last_line(done.stderr)
    assert line.startswith("error: cannot write the image cache cache/keras-lightning-parity/decoded/")
    assert f"({os.strerror(errno.EFBIG)})" in line
    assert "it takes 2 MiB" in line
    assert "choose another with data.cache_dir" in line
    assert not list(tmp_path.rglob("*.npy")) + list(tmp_path.rglob("*.part"))
    assert not (tmp_path / "runs").exists()
    # Refused before a single image is decoded.
    assert "decoding" not in done.stderr


@pytest.mark.process
def test_checkpoint_without_room_names_the_systems_reason(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": torch.ones(3)}}, path)
    kept = path.read_bytes()
    said = _in_child(partial(no_file_above, 50_000), partial(_save_large, path))
    assert said == (
        f"could not save {path} ({os.strerror(errno.EFBIG)}): free space or choose another --runs; "
        f"last good: {path}"
    )
    said = _in_child(partial(no_file_above, 50_000), partial(_save_large, path.with_name("other.ckpt")))
    assert said.endswith(f"last good: {path}")
    assert path.read_bytes() == kept
    assert list(path.parent.iterdir()) == [path]


def _save_large(path: Path) -> None:
    AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": torch.rand(100_000)}}, path)


def _in_child(prepare: Callable[[], None], work: Callable[[], None]) -> str:
    """What a child says that must end in a UserError: limits of a process cannot be taken back."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            prepare()
            work()
            said = "no error"
        except UserError as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def finished(tmp_path: Path) -> RunFolder:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    return RunFolder(tmp_path / "run")


WRITERS: dict[str, Callable[[RunFolder], object]] = {
    "confusion.csv": lambda run: run.write_confusion(["a", "b"], [0, 1], [0, 0]),
    "result.json": lambda run: run.write_result({"epochs": 1}),
    "predictions.csv": lambda run: write_predictions(
        run.path / "predictions.csv", ["a", "b"], ["a/1.png"], [0], np.array([[0.7, 0.3]])
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_closing_file_without_room_names_what_is_kept(
    name: str, finished: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", os.fsync)
    WRITERS[name](finished)
    before = (finished.path / name).read_bytes()
    full_at(name)
    with pytest.raises(UserError) as raised:
        WRITERS[name](finished)
    assert str(raised.value).startswith(f"could not write {finished.path / name} ({NO_SPACE}): no checkpoint")
    (finished.checkpoints / "last.ckpt").touch()
    with pytest.raises(UserError) as raised:
        WRITERS[name](finished)
    remedy = f"free space, then go on with python -m lightning_impl.fit --resume {finished.path}"
    kept = f"{finished.checkpoints} is kept"
    assert str(raised.value) == f"could not write {finished.path / name} ({NO_SPACE}): {kept}: {remedy}"
    assert (finished.path / name).read_bytes() == before
    assert sorted(path.name for path in finished.path.iterdir()) == sorted(["checkpoints", name])


@pytest.mark.process
def test_metrics_without_room_keep_whole_rows(finished: RunFolder) -> None:
    first = {"epoch": 0, "loss": 1.0}
    said = _in_child(partial(no_file_above, 20), lambda: finished.append_metrics(first))
    assert "free space or choose another --runs, and start again" in said
    finished.append_metrics(first)
    before = (finished.path / "metrics.csv").read_bytes()
    said = _in_child(
        partial(no_file_above, len(before) + 5), lambda: finished.append_metrics({"epoch": 1, "loss": 0.25})
    )
    assert said.startswith(f"could not write {finished.path / 'metrics.csv'} ({os.strerror(errno.EFBIG)}): ")
    assert (finished.path / "metrics.csv").read_bytes() == before
    assert [row["epoch"] for row in finished.read_metrics()] == [0]


@pytest.mark.process
def test_fit_whose_closing_had_no_room_goes_on_where_the_line_says(images: Path, tmp_path: Path) -> None:
    done = fit(*small(images), cwd=tmp_path, prepare=partial(full_at, "predictions.csv"), code=2)
    (folder,) = (tmp_path / "runs" / "v3").iterdir()
    line = last_line(done.stderr)
    assert f"predictions.csv ({NO_SPACE}): " in line
    assert not (folder / "result.json").exists()
    command = line.partition("go on with ")[2].split()
    assert command[:3] == ["python", "-m", "lightning_impl.fit"]
    fit(*command[3:], cwd=tmp_path)
    assert (folder / "result.json").exists()
    assert (folder / "predictions.csv").exists()


def test_folder_without_room_leaves_nothing(tmp_path: Path) -> None:
    """Libraries tell of a full disk in errors of their own."""
    for error in (
        OSError(errno.ENOSPC, NO_SPACE),
        RuntimeError(f"Error while serializing: I/O error: {NO_SPACE} (os error {errno.ENOSPC})"),
    ):
        with pytest.raises(UserError, match=f"could not write .*out \\({NO_SPACE}\\): give another --out"):
            _fill(tmp_path / "out", error)
        assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match="something else"):
        _fill(tmp_path / "out", RuntimeError("something else"))


def _fill(path: Path, error: Exception) -> None:
    with new_folder(path):
        raise error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "a trace of many lines"), NO_SPACE),
        (
            RuntimeError(f"Can't write data (file write failed: errno = {errno.EDQUOT}, …)"),
            os.strerror(errno.EDQUOT),
        ),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), NO_SPACE),
        (RuntimeError("of another kind"), "of another kind"),
    ],
)
def test_reason_is_the_systems(error: Exception, reason: str) -> None:
    assert why_not_written(error) == reason


def test_any_command_without_room_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever writes: a page, a picture, an audit's JSON."""
    monkeypatch.setattr(os, "fsync", os.fsync)
    full_at("page.html")
    with pytest.raises(SystemExit) as left:
        run_command(lambda: write_text_atomically(tmp_path / "page.html", "text"))
    assert left.value.code == 2
    remedy = "free space or choose another place, and run it again"
    said = capsys.readouterr().err
    assert said == f"error: could not write {tmp_path / 'page.html'} ({NO_SPACE}): {remedy}\n"
    assert not list(tmp_path.iterdir())


def test_report_without_room_is_one_line(trained_run: Path, tmp_path: Path) -> None:
    before = (trained_run / "report.html").read_bytes()
    done = run("report.__main__", trained_run, cwd=tmp_path, prepare=partial(full_at, "report.html"), code=2)
    assert last_line(done.stderr).startswith(
        f"error: could not write {trained_run / 'report.html'} ({NO_SPACE})"
    )
    assert (trained_run / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    "form",
    ["safetensors", *(pytest.param(each, marks=pytest.mark.full) for each in ("torch-export", "onnx"))],
)
def test_export_without_room_is_one_line(form: str, trained_run: Path, tmp_path: Path) -> None:
    """Whatever library writes: torch's own ended the process."""
    command = ("export", trained_run, "--to", form, "--out", "out")
    done = run(*command, cwd=tmp_path, prepare=partial(no_file_above, 100_000), code=2)
    assert (
        last_line(done.stderr)
        == f"error: could not write out ({os.strerror(errno.EFBIG)}): give another --out"
    )
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".outputs")]
