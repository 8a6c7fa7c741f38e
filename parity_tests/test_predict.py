"""What `predict` says of files, and what it makes of those it cannot read."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_impl.checkpoint_file import find_checkpoint
from lightning_impl.data.processes import CHUNK, CHUNKS_AHEAD, map_in_processes
from lightning_impl.trained import open_classifier
from parity_common.command_errors import UserError
from parity_tests.entry_point import run, start
from parity_tests.trained_case import (
    CLASSES,
    best,
    logits_of,
    picture,
    pictures_of,
    probabilities_of,
    read_csv,
    read_json,
    validation_files,
)


def predicted(row: dict[str, str], top_k: int) -> list[tuple[str, float]]:
    return [(row[f"class_{rank}"], float(row[f"probability_{rank}"])) for rank in range(1, top_k + 1)]


def test_predictions_are_the_nets_own(trained_run: Path, tmp_path: Path) -> None:
    files = sorted(pictures_of(trained_run).rglob("*.png"))
    done = run("predict", trained_run, pictures_of(trained_run), "--top-k", 3, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == f"images predicted: {len(files)}; 7 classes; predictions.csv"
    wanted = probabilities_of(logits_of(trained_run, files))
    assert len(set(wanted.argmax(1))) > 3
    rows = read_csv(tmp_path / "predictions.csv")
    assert [row["file"] for row in rows] == [str(file) for file in files]
    for row, probabilities in zip(rows, wanted, strict=True):
        order = np.argsort(-probabilities)[:3]
        names, found = zip(*predicted(row, 3), strict=True)
        assert names == tuple(CLASSES[number] for number in order)
        np.testing.assert_allclose(found, probabilities[order], rtol=0, atol=1e-6)
        assert row["error"] == ""


def test_json_of_a_checkpoint_elsewhere_says_the_same(trained_run: Path, tmp_path: Path) -> None:
    shutil.copy(best(trained_run), tmp_path / "net.ckpt")
    files = validation_files(trained_run)
    words = [*files, "--top-k", 99]
    run("predict", "net.ckpt", *words, "--out", "p.json", cwd=tmp_path)
    run("predict", trained_run, *words, "--out", "p.csv", cwd=tmp_path)
    objects, rows = read_json(tmp_path / "p.json"), read_csv(tmp_path / "p.csv")
    assert len(objects) == len(rows) == len(files)
    for found, row in zip(objects, rows, strict=True):
        assert found["file"] == row["file"]
        pairs = [(best_["class"], best_["probability"]) for best_ in found["predictions"]]
        assert pairs == predicted(row, len(CLASSES))


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Three good pictures and four files that are none."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        picture(number, 0).save(folder / f"good{number}.png")
    (folder / "cut.png").write_bytes((folder / "good0.png").read_bytes()[:300])
    (folder / "text.jpg").write_text("hello")
    (folder / "link.jpg").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.png")
    return folder


def test_damaged_files_are_named_and_the_others_predicted(
    trained_run: Path, damaged: Path, tmp_path: Path
) -> None:
    done = run("predict", trained_run, "images", cwd=tmp_path, code=1)
    assert "images predicted: 3, 4 could not be read" in done.stdout
    for name in ("cut.png", "text.jpg", "link.jpg", "pipe.png"):
        assert f"image file images/{name} " in done.stderr
    rows = {row["file"]: row for row in read_csv(tmp_path / "predictions.csv")}
    assert len(rows) == 7
    wanted = probabilities_of(logits_of(trained_run, [damaged / f"good{number}.png" for number in range(3)]))
    for number in range(3):
        name, probability = predicted(rows[f"images/good{number}.png"], 1)[0]
        assert name == CLASSES[wanted[number].argmax()]
        assert probability == pytest.approx(wanted[number].max(), abs=1e-6)
    assert rows["images/cut.png"]["class_1"] == ""
    assert "does not decode" in rows["images/cut.png"]["error"]


@pytest.mark.parametrize(
    "inputs", [["images", "--on-bad-image", "error"], ["images/text.jpg"]], ids=["error", "no good one"]
)
def test_nothing_is_written_where_nothing_can_be_said(
    inputs: list[str], trained_run: Path, damaged: Path, tmp_path: Path
) -> None:
    (tmp_path / "predictions.csv").write_text("before")
    done = run("predict", trained_run, *inputs, cwd=tmp_path, code=2)
    assert done.stderr.splitlines()[-1].startswith("error: image file images/")
    assert (tmp_path / "predictions.csv").read_text() == "before"
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob(".*.part"))


def test_hostile_names_are_names(trained_run: Path, tmp_path: Path) -> None:
    names = [
        b'a,"b"\nc.png',
        b"\x1b[31mred.png",
        b"bad\xff.png",
        b"x[1].png",
        b"x1.png",
        b"=1+1.png",
        b"-out.png",
    ]
    (tmp_path / "images").mkdir()
    for number, name in enumerate(names):
        picture(number, 0).save(tmp_path / "images" / os.fsdecode(name), format="png")
    done = run("predict", trained_run, "images", cwd=tmp_path)
    assert "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == len(names) + 1
    found = {row["file"] for row in read_csv(tmp_path / "predictions.csv")}
    assert found == {
        "images/" + os.fsdecode(name).encode("utf-8", "backslashreplace").decode() for name in names
    }
    # A file's own name is no glob, and a glob none of itself.
    run("predict", trained_run, "images/x[1].png", "--out", "one.json", cwd=tmp_path)
    assert [row["file"] for row in read_json(tmp_path / "one.json")] == ["images/x[1].png"]
    run("predict", trained_run, "images/x*.png", "images/x1.png", "--out", "two.json", cwd=tmp_path)
    assert [row["file"] for row in read_json(tmp_path / "two.json")] == ["images/x1.png", "images/x[1].png"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["RUN", "none.png"], "error: no such file or folder, and no glob that matches anything: none.png"),
        (["RUN", "*.gif"], "error: no such file or folder, and no glob that matches anything: *.gif"),
        (["RUN", ""], "error: an input is empty"),
        (["RUN", "empty"], "error: no images in folder empty (png,"),
        (["RUN", "here.png", "--top-k", "0"], "error: --top-k is 0"),
        (["RUN", "here.png", "--out", "p.txt"], "error: --out p.txt has no known suffix"),
        (["RUN", "here.png", "--out", "no/p.csv"], "error: no such folder no"),
        (["RUN", "here.png", "--device", "none"], "error: --device none cannot be used here"),
        (["RUN", "here.png", "--topk", "1"], "error: unrecognized arguments: --topk"),
        (
            ["RUNS", "here.png"],
            "error: RUNS is no run folder of a fit: it has no checkpoints/best.ckpt; the new",
        ),
        (["keras", "here.png"], "error: keras/checkpoints/best.h5 is Keras's own"),
        (["none.ckpt", "here.png"], "error: no checkpoint or run folder none.ckpt"),
        (["text.ckpt", "here.png"], "error: text.ckpt is damaged or no checkpoint"),
    ],
)
def test_bad_input_is_one_line(words: list[str], line: str, trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "keras/checkpoints").mkdir(parents=True)
    (tmp_path / "keras/checkpoints/best.h5").touch()
    (tmp_path / "text.ckpt").write_text("hello")
    picture(0, 0).save(tmp_path / "here.png")
    places = {"RUN": str(trained_run), "RUNS": str(trained_run.parents[1])}
    done = run("predict", *(places.get(word, word) for word in words), cwd=tmp_path, code=2)
    assert done.stderr.startswith(line.replace("RUNS", places["RUNS"]))
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tmp_path.glob("*.csv"))


class Foreign:
    """What a checkpoint must not bring to life."""


def damaged_checkpoints(good: dict, place: Path) -> dict[str, str]:
    """By file name, what is said of it."""
    torch.save({"state_dict": {}, "hyper_parameters": {"width": 3}}, place / "other.ckpt")
    torch.save({**good, "more": Foreign()}, place / "objects.ckpt")
    torch.save([1, 2], place / "list.ckpt")
    weights = good["state_dict"]
    torch.save(
        {**good, "state_dict": {**weights, "net.head.bias": weights["net.head.bias"] / 0}}, place / "nan.ckpt"
    )
    torch.save({**good, "state_dict": {**weights, "net.more": torch.zeros(1)}}, place / "more.ckpt")
    hyperparameters = {**good["hyper_parameters"], "arch": "v9"}
    torch.save({**good, "hyper_parameters": hyperparameters}, place / "arch.ckpt")
    (place / "cut.ckpt").write_bytes((place / "arch.ckpt").read_bytes()[:5000])
    (place / "empty.ckpt").touch()
    return {
        "other.ckpt": "names no classes",
        "objects.ckpt": "could run code",
        "list.ckpt": "names no classes",
        "nan.ckpt": "weights that are no numbers",
        "more.ckpt": "does not fit this version",
        "arch.ckpt": "does not fit this version",
        "cut.ckpt": "is damaged or no checkpoint",
        "empty.ckpt": "is damaged or no checkpoint",
    }


def test_checkpoints_that_are_none_are_refused_in_a_line(trained_run: Path, tmp_path: Path) -> None:
    good = torch.load(best(trained_run), weights_only=True)
    for name, said in damaged_checkpoints(good, tmp_path).items():
        with pytest.raises(UserError, match=f"{name} .*{said}") as raised:
            open_classifier(tmp_path / name, torch.device("cpu"))
        assert "\n" not in str(raised.value)
    torch.save(good, tmp_path / "good.ckpt")
    assert open_classifier(tmp_path / "good.ckpt", torch.device("cpu")).classifier.class_names == list(
        CLASSES
    )


def test_run_without_a_best_checkpoint_names_its_last(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/last.ckpt").touch()
    with pytest.raises(UserError, match=r"no best.ckpt.* give .*last.ckpt"):
        find_checkpoint(tmp_path)


@pytest.mark.process
@pytest.mark.parametrize("command", ["predict", "test", "export"])
def test_help_and_wrong_paths_answer_without_torch(command: str, tmp_path: Path) -> None:
    more = {"predict": ["x.png"], "test": [], "export": ["--to", "torch-export"]}[command]
    code = (
        "import sys\n"
        "from importlib import import_module\n"
        "from parity_common.command_errors import UserError\n"
        f"module = import_module('lightning_impl.{command}')\n"
        f"for words in (['--help'], ['none.ckpt', *{more}]):\n"
        "    sys.argv = ['command', *words]\n"
        "    try:\n"
        "        module.main()\n"
        "    except (SystemExit, UserError) as error:\n"
        "        print('said', type(error).__name__)\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: python -m lightning_impl." + command)
    assert done.stdout.splitlines()[-2:] == ["said SystemExit", "said UserError"]
    assert done.stdout.count("\n") < 40


def leave_mark(item: tuple[Path, int]) -> int:
    folder, number = item
    (folder / str(number)).touch()
    return number


@pytest.mark.process
def test_only_a_few_files_are_read_ahead(tmp_path: Path) -> None:
    items = [(tmp_path, number) for number in range(3000)]
    results = map_in_processes(leave_mark, items)
    first = next(results)
    most = CHUNK * (1 + CHUNKS_AHEAD * (os.cpu_count() or 1))
    before = -1
    while (done := len(list(tmp_path.iterdir()))) != before:
        before = done
        time.sleep(0.3)
    assert done <= most < len(items)
    assert [first, *results] == list(range(3000))


def test_stopped_prediction_leaves_nothing(trained_run: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.zeros((3000, 3000, 3), dtype=np.uint8)).save(large)
    (tmp_path / "images").mkdir()
    for number in range(600):
        os.link(large, tmp_path / "images" / f"{number:03}.png")
    child = start("predict", trained_run, "images", cwd=tmp_path)
    deadline = time.monotonic() + 120
    while "predicting" not in child.stderr:
        assert child.process.is_alive(), child.stderr
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    os.kill(child.process.pid, signal.SIGINT)
    assert child.wait() == 130, child.stderr
    assert child.stderr.splitlines()[-1] == "stopped"
    assert "Traceback" not in child.stderr
    assert not list(tmp_path.glob("*.csv")) + list(tmp_path.glob(".*.part"))
