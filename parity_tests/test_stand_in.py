"""The stand-in set: the same bytes however it is drawn, never a broken file, no class told by a statistic."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.optimize import minimize

from lightning_impl.data.stand_in import CLASS_NAMES, draw_image, draw_set, encode_image
from lightning_impl.data.stand_in.folder import GENERATOR_VERSION, locked
from parity_common.command_errors import UserError

ROOT = Path(__file__).parents[1]
SEED = 2021
IMAGES_PER_CLASS, TRAINING_IMAGES_PER_CLASS = 56, 42
CHANCE = 1 / len(CLASS_NAMES)

# Brightness of three images on a grid of 4 × 5: generator version 1, seed 2021, numpy 2.4.6, OpenCV 5.0.0.
GRIDS_OF_VERSION_1 = {
    ("bicycle", 1): [56, 54, 57, 51, 54, 55, 52, 51, 50, 51, 51, 50, 59, 64, 68, 49, 64, 47, 56, 45],
    ("rabbit", 4): [
        166,
        140,
        119,
        119,
        102,
        147,
        161,
        123,
        115,
        99,
        186,
        183,
        141,
        107,
        102,
        146,
        158,
        154,
        121,
        91,
    ],
    ("teapot", 17): [55, 57, 56, 57, 55, 57, 81, 57, 55, 55, 69, 101, 74, 57, 54, 58, 68, 76, 58, 53],
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A set of 30 × 56 images, drawn by as many workers as there are processors."""
    folder = tmp_path_factory.mktemp("stand_in") / "set"
    draw_set(folder, IMAGES_PER_CLASS, SEED)
    return folder


def images_in(folder: Path) -> dict[str, bytes]:
    """Every file of the class folders, hidden ones too, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*")}


def first_of(folder: Path, images_per_class: int) -> dict[str, bytes]:
    """The first images of each class of a drawn set."""
    names = [f"{name}/{name}_{n:04d}.jpg" for name in CLASS_NAMES for n in range(1, images_per_class + 1)]
    return {name: (folder / name).read_bytes() for name in names}


def start(*arguments: str) -> subprocess.Popen:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "lightning_impl.data.stand_in", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def wait_for_images(folder: Path, count: int) -> None:
    """Waits until a running command has drawn so many."""
    end = time.monotonic() + 60
    while sum(1 for _ in folder.glob("*/[a-z]*.jpg")) < count:
        assert time.monotonic() < end, "the command draws nothing"
        time.sleep(0.02)


# Order, size, determinism ---------------------------------------------------------------------------------


@pytest.mark.process
def test_classes_are_thirty_in_alphanumeric_order(drawn):
    folders = sorted(entry.name for entry in os.scandir(drawn) if entry.is_dir())
    assert folders == list(CLASS_NAMES) == sorted(set(CLASS_NAMES))
    assert len(CLASS_NAMES) == 30


@pytest.mark.process
def test_images_are_580_by_420_rgb_jpegs(drawn):
    for name in CLASS_NAMES:
        with Image.open(drawn / name / f"{name}_{IMAGES_PER_CLASS:04d}.jpg") as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (580, 420))


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_smaller_set_is_a_prefix_whatever_the_workers(drawn, tmp_path, workers):
    draw_set(tmp_path, 2, SEED, workers)
    assert images_in(tmp_path) == first_of(drawn, 2)


def test_image_is_a_function_of_class_number_and_seed():
    image = draw_image("key", 3, SEED)
    assert image.shape == (420, 580, 3)
    assert image.dtype == np.uint8
    draw_image("snail", 9, SEED)  # what was drawn before leaves no trace
    np.testing.assert_array_equal(image, draw_image(CLASS_NAMES.index("key"), 3, SEED))
    for other in (draw_image("key", 4, SEED), draw_image("key", 3, SEED + 1), draw_image("lamp", 3, SEED)):
        assert (image != other).mean() > 0.5


def test_file_holds_the_drawn_image():
    stored = cv2.imdecode(np.frombuffer(encode_image("house", 1, SEED), np.uint8), cv2.IMREAD_COLOR_RGB)
    # JPEG moves single pixels far and the mean hardly; with red and blue swapped it is off by far more.
    image = draw_image("house", 1, SEED)
    assert np.abs(stored.mean((0, 1)) - image.mean((0, 1))).max() < 1.0
    assert np.abs(np.ptp(image.mean((0, 1)))) > 4.0


@pytest.mark.parametrize(("name", "number"), GRIDS_OF_VERSION_1)
def test_images_are_those_of_their_generator_version(name, number):
    # Another picture differs by tens, another processor's rounding by less than one. Whoever changes an image
    # raises GENERATOR_VERSION and writes the new grids here.
    assert GENERATOR_VERSION == 1
    grey = cv2.cvtColor(draw_image(name, number, SEED), cv2.COLOR_RGB2GRAY)
    grid = cv2.resize(grey, (5, 4), interpolation=cv2.INTER_AREA).ravel().astype(int)
    assert np.abs(grid - GRIDS_OF_VERSION_1[name, number]).max() <= 2


# Stopping and going on ------------------------------------------------------------------------------------


@pytest.mark.process
def test_restart_draws_only_what_is_missing(drawn, tmp_path):
    draw_set(tmp_path, 2, SEED, 1)
    kept = tmp_path / "anchor" / "anchor_0001.jpg"
    kept_time = kept.stat().st_mtime_ns
    (tmp_path / "crab" / "crab_0002.jpg").unlink()
    (tmp_path / "key" / "key_0001.jpg").write_bytes(b"")
    (tmp_path / "fish" / ".fish_0001.jpg.12.drawing").write_bytes(b"half an image")
    (tmp_path / ".stand_in.json.12.drawing").write_bytes(b"{")
    draw_set(tmp_path, 2, SEED, 1)
    assert images_in(tmp_path) == first_of(drawn, 2)
    assert not list(tmp_path.glob(".*.drawing"))
    assert kept.stat().st_mtime_ns == kept_time


@pytest.mark.process
def test_killed_run_leaves_only_whole_files_and_is_finished_by_the_next(drawn, tmp_path):
    process = start("--out", str(tmp_path), "--images-per-class", "4", "--workers", "2")
    wait_for_images(tmp_path, 12)
    process.kill()
    process.communicate()
    whole = first_of(drawn, 4)
    for path in tmp_path.glob("*/[a-z]*.jpg"):
        assert path.read_bytes() == whole[str(path.relative_to(tmp_path))]
    draw_set(tmp_path, 4, SEED)
    assert images_in(tmp_path) == whole


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_run_says_one_line_and_leaves_no_worker(tmp_path, number, code):
    process = start("--out", str(tmp_path), "--images-per-class", "900", "--workers", "2")
    wait_for_images(tmp_path, 4)
    process.send_signal(number)
    out, error = process.communicate(timeout=20)
    assert process.returncode == code
    assert out == ""
    assert error.startswith("stopped: ")
    assert error.endswith(" of 27000 images drawn; the same command goes on from there\n")
    assert error.count("\n") == 1
    files = images_in(tmp_path)
    time.sleep(0.3)
    assert images_in(tmp_path) == files


@pytest.mark.process
def test_second_run_waits_for_the_first(drawn, tmp_path):
    with locked(tmp_path):
        process = start("--out", str(tmp_path), "--images-per-class", "1")
        assert process.stderr.readline() == f"waiting for another process that draws into {tmp_path}\n"
        assert not images_in(tmp_path)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert images_in(tmp_path) == first_of(drawn, 1)


# Refusals -------------------------------------------------------------------------------------------------


def _foreign_folder(folder: Path) -> None:
    (folder / "holiday").mkdir()


def _other_seed(folder: Path) -> None:
    (folder / "stand_in.json").write_text(json.dumps({"generator_version": 1, "seed": 7}))


def _other_generator(folder: Path) -> None:
    (folder / "stand_in.json").write_text(json.dumps({"generator_version": 0, "seed": SEED}))


def _broken_manifest(folder: Path) -> None:
    (folder / "stand_in.json").write_text("{")


def _larger_set(folder: Path) -> None:
    draw_set(folder, 1, SEED, 1)
    (folder / "key" / "key_0009.jpg").write_bytes(b"image")


def _foreign_image(folder: Path) -> None:
    draw_set(folder, 1, SEED, 1)
    (folder / "key" / "my_key.jpg").write_bytes(b"image")


def _foreign_class(folder: Path) -> None:
    draw_set(folder, 1, SEED, 1)
    (folder / "zebra").mkdir()


@pytest.mark.process
@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (_foreign_folder, 'is no stand-in set, it holds "holiday": give a new or an empty folder'),
        (_other_seed, "was drawn with seed 7, not 2021: give another folder or remove this one"),
        (_other_generator, "was drawn by generator version 0, this is 1: give another folder"),
        (_broken_manifest, "is not a stand-in manifest: give another folder"),
        (
            _larger_set,
            "already holds 9 images per class, 1 were asked for: ask for 9, or give another folder",
        ),
        (_foreign_image, "my_key.jpg is not of the stand-in set: move it away, or give another folder"),
        (_foreign_class, 'holds "zebra", which is not of the stand-in set: move it away'),
    ],
)
def test_folder_of_something_else_is_refused_in_one_line(tmp_path, prepare, said):
    prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as refusal:
        draw_set(tmp_path, 1, SEED)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"images_per_class": 0}, "images per class must be 1 to 9999, not 0"),
        ({"images_per_class": 10000}, "images per class must be 1 to 9999, not 10000"),
        ({"seed": -1}, "the seed of the stand-in set must be 0 to 4294967295, not -1"),
        ({"workers": 0}, "workers must be 1 to 256, not 0"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, arguments, said):
    with pytest.raises(UserError, match=said):
        draw_set(tmp_path / "set", **{"images_per_class": 1, "seed": SEED, **arguments})
    assert not (tmp_path / "set").exists()


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--images-per-class", "many"),
            "error: argument --images-per-class: invalid int value: 'many'; --help",
        ),
        (
            ("--images-per-class", "1", "--workers", "few"),
            'error: --workers must be a number or auto, not "few"',
        ),
    ],
)
def test_bad_command_line_is_refused_in_one_line(tmp_path, arguments, said):
    process = start("--out", str(tmp_path / "set"), *arguments)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 2
    assert error.startswith(said)
    assert error.count("\n") == 1


@pytest.mark.process
def test_folder_that_cannot_be_made_is_refused_by_the_command(tmp_path):
    (tmp_path / "file").write_text("")
    process = start("--out", str(tmp_path / "file" / "set"), "--images-per-class", "1")
    _, error = process.communicate(timeout=30)
    assert process.returncode == 2
    assert error.startswith("error: cannot write the stand-in set to")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", 1, 0), 'has no class "keys" .did you mean "key".'),
        ((30, 1, 0), "classes 0 to 29"),
        ((0, 0, 0), "1 to 9999"),
    ],
)
def test_image_that_is_not_of_the_set_is_refused(arguments, said):
    with pytest.raises(UserError, match=said):
        draw_image(*arguments)


# No statistic tells the class -----------------------------------------------------------------------------


def statistics(image: np.ndarray, file_size: float) -> np.ndarray:
    """What a class must not be told by: mean colour, file size, 16-bin histogram of brightness; `(20,)`."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    histogram = cv2.calcHist([grey], [0], None, [16], [0, 256]).ravel()
    return np.concatenate((cv2.mean(image)[:3], [file_size], histogram))


def held_out_accuracy(features: np.ndarray) -> float:
    """Of a multinomial logistic regression on `(classes, images, features)`, the last images held out."""
    classes, images, count = features.shape
    training = features[:, :TRAINING_IMAGES_PER_CLASS].reshape(-1, count)
    features = (features - training.mean(0)) / (training.std(0) + 1e-9)
    inputs = np.concatenate((features, np.ones((classes, images, 1))), 2)
    training = inputs[:, :TRAINING_IMAGES_PER_CLASS].reshape(-1, count + 1)
    labels = np.repeat(np.arange(classes), TRAINING_IMAGES_PER_CLASS)
    targets = np.eye(classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(count + 1, classes)
        scores = training @ weights
        scores -= scores.max(1, keepdims=True)
        logarithms = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        penalty = 1e-3 * weights
        slope = training.T @ (np.exp(logarithms) - targets) / len(training) + 2 * penalty
        return -(logarithms * targets).sum() / len(training) + (penalty * weights).sum(), slope.ravel()

    weights = minimize(loss, np.zeros((count + 1) * classes), jac=True, method="L-BFGS-B").x
    held_out = inputs[:, TRAINING_IMAGES_PER_CLASS:] @ weights.reshape(count + 1, classes)
    return float((held_out.argmax(2) == np.arange(classes)[:, None]).mean())


@pytest.fixture(scope="module")
def class_statistics(drawn) -> tuple[np.ndarray, np.ndarray]:
    """Statistics `(30, 56, 20)` of the set, and of its images tinted by class."""
    tints = np.random.RandomState(0).uniform(0, 90, (len(CLASS_NAMES), 3))
    plain, tinted = [], []
    for name, tint in zip(CLASS_NAMES, tints, strict=True):
        for path in sorted((drawn / name).iterdir()):
            data = path.read_bytes()
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_COLOR_2)
            plain.append(statistics(image, len(data)))
            tinted.append(statistics(cv2.add(cv2.multiply(image, (0.5, 0.5, 0.5, 0)), (*tint, 0)), len(data)))
    shape = (len(CLASS_NAMES), IMAGES_PER_CLASS, -1)
    return np.reshape(plain, shape), np.reshape(tinted, shape)


@pytest.mark.process
@pytest.mark.parametrize(
    "columns",
    [slice(0, 3), slice(3, 4), slice(4, 20), slice(0, 20)],
    ids=["mean_colour", "file_size", "brightness_histogram", "all"],
)
def test_no_trivial_statistic_tells_the_class(class_statistics, columns):
    assert held_out_accuracy(class_statistics[0][..., columns]) < 3 * CHANCE


@pytest.mark.process
def test_trivial_statistics_would_tell_a_class_that_leaks(class_statistics):
    assert held_out_accuracy(class_statistics[1]) > 9 * CHANCE


@pytest.mark.process
def test_drawing_imports_no_framework(tmp_path):
    (tmp_path / "tensorflow.py").write_text("")  # an empty one, for the twin that shows the check can fail
    banned = "('torch', 'lightning', 'keras', 'tensorflow', 'albumentations')"
    check = f"import sys, {{}}; print([name for name in {banned} if name in sys.modules])"
    loaded = []
    for modules in ("lightning_impl.data.stand_in.worker", "lightning_impl.data.stand_in, tensorflow"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
        command = [sys.executable, "-c", check.format(modules)]
        result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        loaded.append(result.stdout.strip())
    assert loaded == ["[]", "['tensorflow']"]
