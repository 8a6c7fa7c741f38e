"""What `test` finds of a trained run, against sums by hand."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from lightning_impl.data.datamodule import TRAINING_DIGESTS_KEY
from lightning_impl.figures import figures_of
from lightning_impl.module import Classifier
from parity_common.run_folder import RunFolder
from parity_tests.entry_point import run
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


def figures_by_hand(trained: Path, files: list[Path]) -> dict:
    """By counting, one image after the other."""
    truth = [CLASSES.index(file.parent.name) for file in files]
    rows = probabilities_of(logits_of(trained, files)).tolist()
    ranked = [sorted(range(len(CLASSES)), key=lambda number: -row[number]) for row in rows]
    taken = [order[0] for order in ranked]
    pairs = list(zip(truth, taken, strict=True))
    classes = []
    for number, name in enumerate(CLASSES):
        found = sum(pair == (number, number) for pair in pairs)
        there, said = truth.count(number), taken.count(number)
        precision, recall = found / said if said else 0, found / there if there else 0
        f1 = 2 * precision * recall / (precision + recall) if found else 0
        classes.append({"class": name, "precision": precision, "recall": recall, "f1": f1, "images": there})
    return {
        "images": len(files),
        "accuracy": sum(a == b for a, b in pairs) / len(files),
        "top_5_accuracy": sum(a in order[:5] for a, order in zip(truth, ranked, strict=True)) / len(files),
        "loss": -sum(math.log(row[label]) for row, label in zip(rows, truth, strict=True)) / len(files),
        "classes": classes,
        "confusion": [[pairs.count((a, b)) for b in range(len(CLASSES))] for a in range(len(CLASSES))],
    }


def assert_equal(found: dict, wanted: dict) -> None:
    assert found["loss"] == pytest.approx(wanted["loss"], abs=1e-5)
    for name in ("images", "accuracy", "top_5_accuracy", "confusion"):
        assert found[name] == wanted[name], name
    for ours, theirs in zip(found["classes"], wanted["classes"], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_validation_part_equals_the_runs_own_figures(trained_run: Path, tmp_path: Path) -> None:
    done = run("test", trained_run, cwd=tmp_path)
    found = read_json(tmp_path / "test.json")
    wanted = figures_by_hand(trained_run, validation_files(trained_run))
    # Some right and some wrong, or much would go unseen.
    assert 0 < wanted["accuracy"] < 1
    assert wanted["top_5_accuracy"] > wanted["accuracy"]
    assert_equal(found, wanted)
    row = RunFolder(trained_run).read_metrics()[found["epoch"] - 1]
    assert found["accuracy"] == pytest.approx(row["val_accuracy"], abs=1e-6)
    assert found["loss"] == pytest.approx(row["val_loss"], abs=1e-5)
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"accuracy {wanted['accuracy']:.1%}, top-5 {wanted['top_5_accuracy']:.1%}, loss ")
    assert last.endswith(
        "(the validation part of " + str(pictures_of(trained_run)) + "); each class: test.json"
    )


def draw_other(root: Path, names: str) -> list[Path]:
    """Three new pictures of some of the classes."""
    files = []
    for name in names:
        (root / name).mkdir(parents=True)
        for number in range(3):
            files.append(root / name / f"{number}.png")
            picture(CLASSES.index(name), 50 + number).save(files[-1])
    return files


def test_folder_without_some_classes_keeps_the_trainings_numbers(trained_run: Path, tmp_path: Path) -> None:
    files = draw_other(tmp_path / "other", "bceg")
    # A class folder without an image counts as absent.
    (tmp_path / "other" / "d").mkdir()
    done = run("test", trained_run, "--data.root", "other", "--out", "t.json", cwd=tmp_path)
    assert "no image of 3 classes of the training: a, d, f" in done.stderr
    found = read_json(tmp_path / "t.json")
    wanted = figures_by_hand(trained_run, files)
    assert wanted["accuracy"] > 0
    assert_equal(found, wanted)
    assert found["classes_without_images"] == ["a", "d", "f"]
    # A checkpoint alone knows its classes.
    shutil.copy(best(trained_run), tmp_path / "net.ckpt")
    run("test", "net.ckpt", "--data.root", "other", "--out", "t.csv", cwd=tmp_path)
    rows = read_csv(tmp_path / "t.csv")
    assert [row["class"] for row in rows] == list(CLASSES)
    for row, scores in zip(rows, wanted["classes"], strict=True):
        assert {name: float(row[name]) for name in row if name != "class"} == pytest.approx(
            {name: scores[name] for name in scores if name != "class"}, abs=1e-12
        )


def test_folder_of_the_training_is_tested_in_its_validation_part_alone(
    trained_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(pictures_of(trained_run), tmp_path / "moved")
    done = run("test", trained_run, "--data.root", "moved", cwd=tmp_path)
    assert "the validation part of moved" in done.stdout
    assert_equal(
        read_json(tmp_path / "test.json"), figures_by_hand(trained_run, validation_files(trained_run))
    )


def test_split_that_moved_since_is_refused(trained_run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "run"
    shutil.copytree(trained_run, moved)
    shutil.copytree(pictures_of(trained_run), tmp_path / "pictures")
    config = (moved / "config.yaml").read_text().replace(str(pictures_of(trained_run)), "pictures")
    (moved / "config.yaml").write_text(config)
    run("test", "run", cwd=tmp_path)
    # Sorted first, it pushes a validation image into the training part of the split.
    for name in ("000.png", "001.png", "002.png", "003.png", "004.png"):
        picture(0, 90).save(tmp_path / "pictures" / "a" / name)
    done = run("test", "run", cwd=tmp_path, code=2)
    assert "pictures are no longer those of the training" in done.stderr


@pytest.mark.process
@pytest.mark.parametrize(("classes", "top_5"), [(7, 5 / 7), (6, 5 / 6), (5, None)])
def test_five_likeliest_count_from_six_classes_on(classes: int, top_5: float | None) -> None:
    classifier = Classifier(arch="v3", class_names=list(CLASSES[:classes]), image_size=(16, 16)).eval()
    head = classifier.net.head
    # Every image is taken for the first class, then the second, and so on.
    head.weight.data.zero_()
    head.bias.data = -torch.arange(classes).float()
    images = torch.zeros(classes, 16, 16, 3, dtype=torch.uint8)
    figures = figures_of(classifier, [(images[:4], torch.arange(4)), (images[4:], torch.arange(4, classes))])
    assert figures.accuracy == 1 / classes
    assert figures.top_5_accuracy == top_5
    assert figures.counts.tolist() == [[1] + [0] * (classes - 1)] * classes
    likeliest = math.log(sum(math.exp(-place) for place in range(classes)))
    assert figures.loss == pytest.approx(likeliest + (classes - 1) / 2, abs=1e-6)


def test_bad_input_is_one_line(trained_run: Path, tmp_path: Path) -> None:
    shutil.copy(best(trained_run), tmp_path / "net.ckpt")
    draw_other(tmp_path / "unknown", "ab")
    (tmp_path / "unknown" / "bb").mkdir()
    draw_other(tmp_path / "cut", "ab")
    (tmp_path / "cut/b/1.png").write_bytes(b"\x89PNG")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare" / "a").mkdir(parents=True)
    for words, line in (
        (["net.ckpt"], "error: net.ckpt lies in no run folder, whose data is known: give --data.root"),
        (
            ["net.ckpt", "--data.root", "unknown"],
            "error: unknown has a class folder bb that the training did not",
        ),
        (["net.ckpt", "--data.root", "none"], "error: no such folder none"),
        (["net.ckpt", "--data.root", "empty"], "error: no class folders in empty"),
        (["net.ckpt", "--data.root", "bare"], "error: no images in the class folders of bare"),
        (["net.ckpt", "--data.root", "cut"], "error: image file cut/b/1.png does not decode"),
        (["net.ckpt", "--out", "here"], "error: --out here has no known suffix"),
    ):
        done = run("test", *words, cwd=tmp_path, code=2)
        assert done.stderr.splitlines()[-1].startswith(line), done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert not list(tmp_path.glob("test.*"))


def test_training_images_are_left_out_wherever_they_lie(trained_run: Path, tmp_path: Path) -> None:
    """A folder that has grown, one under other names, the checkpoint without its run: known by the pixels."""
    grown = tmp_path / "grown"
    shutil.copytree(pictures_of(trained_run), grown)
    picture(1, 70).save(grown / "b" / "zzz.png")
    wanted = figures_by_hand(trained_run, [*validation_files(trained_run), grown / "b" / "zzz.png"])
    renamed = tmp_path / "renamed"
    shutil.copytree(grown, renamed)
    for number, path in enumerate(sorted(renamed.glob("*/*.png"))):
        path.rename(path.parent / f"{(number * 7) % 71:03}.png")
    # Coded otherwise, the pixels are the same.
    for path in renamed.glob("c/*.png"):
        with Image.open(path) as image:
            image.save(path.with_suffix(".bmp"))
        path.unlink()
    shutil.copy(best(trained_run), tmp_path / "net.ckpt")
    for words in (
        (trained_run, "grown"),
        ("net.ckpt", "grown"),
        (trained_run, "renamed"),
        ("net.ckpt", "renamed"),
    ):
        done = run("test", words[0], "--data.root", words[1], cwd=tmp_path)
        found = read_json(tmp_path / "test.json")
        assert found["images"] == 15
        assert sorted(map(sum, found["confusion"])) == sorted(map(sum, wanted["confusion"]))
        assert found["accuracy"] == wanted["accuracy"], words
        assert len(found["left_out_as_trained_on"]) == 56
        assert (
            f"(every image of {words[1]} but the 56 that were trained on, such as {words[1]}/" in done.stdout
        )


def test_other_images_of_the_trainings_names_are_all_tested(trained_run: Path, tmp_path: Path) -> None:
    for label, name in enumerate(CLASSES):
        (tmp_path / "other" / name).mkdir(parents=True)
        for number in range(10):
            picture(label, 200 + number).save(tmp_path / "other" / name / f"{number:02}.png")
    done = run("test", trained_run, "--data.root", "other", cwd=tmp_path)
    assert "on 70 images of 7 classes (every image of other)" in done.stdout


def test_nothing_but_training_images_is_refused(trained_run: Path, tmp_path: Path) -> None:
    taught = [
        path for path in pictures_of(trained_run).glob("*/*") if path not in validation_files(trained_run)
    ]
    for path in taught:
        (tmp_path / "taught" / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "taught" / path.parent.name)
    done = run("test", trained_run, "--data.root", "taught", cwd=tmp_path, code=2)
    assert done.stderr.splitlines()[-1].startswith(
        "error: the net was trained on all of the 56 images, such as taught/a/"
    )
    assert not (tmp_path / "test.json").exists()


def test_checkpoint_that_does_not_say_is_told_of(trained_run: Path, tmp_path: Path) -> None:
    saved = torch.load(best(trained_run), weights_only=True)
    del saved["ImageData"][TRAINING_DIGESTS_KEY]
    torch.save(saved, tmp_path / "old.ckpt")
    done = run("test", "old.ckpt", "--data.root", pictures_of(trained_run), cwd=tmp_path)
    assert "does not say which images it was trained on" in done.stderr
    assert "on 70 images" in done.stdout


def test_a_picture_in_both_parts_of_the_runs_own_split_is_told(trained_run: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures_of(trained_run), tmp_path / "leaky")
    shutil.copy(tmp_path / "leaky" / "a" / "05.png", tmp_path / "leaky" / "a" / "00.png")
    done = run("test", trained_run, "--data.root", "leaky", cwd=tmp_path)
    assert "1 of the 14 validation images are, pixel for pixel, training images" in done.stderr
