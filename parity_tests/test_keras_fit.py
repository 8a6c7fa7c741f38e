"""`python -m keras_reference.fit`, started as users start it, on a tiny folder of images."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from keras_reference.config import read_settings
from parity_common.command_errors import UserError
from parity_common.config_files import STUDY_FILE
from parity_common.run_folder import CLOSING_FILES, METRIC_COLUMNS, RunFolder
from parity_common.run_lock import only_user
from parity_tests.run_folder_checks import check_closing_files

COMMAND = [sys.executable, "-m", "keras_reference.fit"]
ONE_FIT_SECONDS = 300
SUFFIX = {"tf2.4": "h5", "keras3": "keras"}
CLASSES = ("Berry", "apple", "pear")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Three classes of ten 40 × 30 pictures, PNG and JPEG, each class of a colour of its own."""
    root = tmp_path_factory.mktemp("images")
    draw = np.random.RandomState(7)
    for label, name in enumerate(CLASSES):
        (root / name).mkdir()
        for number in range(10):
            pixels = draw.randint(0, 60, (30, 40, 3), dtype=np.uint8)
            pixels[..., label] += 150
            suffix = "png" if number % 2 else "JPG"
            Image.fromarray(pixels).save(root / name / f"{number}.{suffix}")
    return root


@pytest.fixture(scope="module")
def fits(images, tmp_path_factory):
    """The fits of this file, all started at once: most of each one's time is TensorFlow's import."""
    common = ["--data.root", str(images), "--data.image_size", "[32, 32]"]
    two_epochs = ["--config", "v3", *common, "--trainer.max_epochs", "2"]
    starts = {
        "tf2.4": [*two_epochs, "--model.profile", "tf2.4"],
        "keras3": [*two_epochs, "--model.profile", "keras3", "--name", "named"],
        "stopped": ["--config", "v1", *common, "--trainer.max_epochs", "100000"],
        "not finite": [
            "--config",
            "v1",
            *common,
            "--model.optimizer",
            "sgd",
            "--model.learning_rate",
            "1e38",
        ],
        # One step of finite losses, and weights with which no validation has one.
        "validation": [
            *("--config", "v3", *common, "--data.batch_size", "64", "--data.expand", "null"),
            *("--model.optimizer", "sgd", "--model.learning_rate", "1e6"),
        ],
    }
    runs = {name: tmp_path_factory.mktemp("runs") for name in starts}
    children = {
        name: subprocess.Popen(
            [*COMMAND, *arguments, "--runs", str(runs[name])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, arguments in starts.items()
    }
    yield {name: (child, runs[name]) for name, child in children.items()}
    for child in children.values():
        child.kill()
        child.communicate()


def only_run(runs: Path, name: str) -> RunFolder:
    (path,) = (runs / name).iterdir()
    return RunFolder(path)


@pytest.mark.process
@pytest.mark.parametrize(("profile", "name"), [("tf2.4", "v3"), ("keras3", "named")])
def test_a_fit_leaves_the_whole_run_folder(fits, images, profile, name):
    child, runs = fits[profile]
    said, errors = child.communicate(timeout=ONE_FIT_SECONDS)
    assert child.returncode == 0, errors
    run = only_run(runs, name)
    suffix = SUFFIX[profile]
    check_closing_files(run, images, 32)
    left = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert left - set(CLOSING_FILES) == {
        "config.yaml",
        "metrics.csv",
        f"checkpoints/best.{suffix}",
        f"checkpoints/last.{suffix}",
    }
    assert str(run.path) in said.splitlines()[-1]
    # Nothing but our own line: no framework's warnings.
    first = f"images: 3 classes (Berry, apple, pear), 24 for training and 6 for validation, in {images}"
    assert errors.splitlines() == [first, "decoding 30 images"]

    rows = run.read_metrics()
    assert [row["epoch"] for row in rows] == [0, 1]
    assert all(row[column] is not None for row in rows for column in METRIC_COLUMNS)
    assert {row["learning_rate"] for row in rows} == {0.001}
    assert rows[0]["loss"] != rows[1]["loss"]

    result = json.loads((run.path / "result.json").read_text())
    best = max(rows, key=lambda row: (row["val_accuracy"], -row["epoch"]))
    assert (result["best_epoch"], result["best_val_accuracy"]) == (best["epoch"], best["val_accuracy"])
    assert result["framework"] == "keras"
    assert result["package"].startswith("tf_keras 2." if profile == "tf2.4" else "keras 3.")
    assert result["config"] == name
    assert (result["classes"], result["training_images"], result["validation_images"]) == (3, 24, 6)
    assert result["parameters"] == 375_363
    assert result["versions"]["tensorflow"]
    assert result["device"]
    assert result["epochs"] == 2

    # The confusion matrix is the best checkpoint's, read back from its file.
    header, *counts = csv.reader((run.path / "confusion.csv").read_text().splitlines())
    assert header[1:] == [row[0] for row in counts] == list(CLASSES)
    matrix = np.array([[int(count) for count in row[1:]] for row in counts])
    assert matrix.sum(axis=1).tolist() == [2, 2, 2]
    assert np.trace(matrix) / matrix.sum() == pytest.approx(best["val_accuracy"], abs=1e-6)


@pytest.mark.process
def test_the_run_s_config_is_complete_and_reads_back(fits):
    child, runs = fits["tf2.4"]
    child.communicate(timeout=ONE_FIT_SECONDS)
    path = only_run(runs, "v3").path / "config.yaml"
    settings = read_settings(["--config", str(path)])
    assert settings.complete == path.read_text()
    assert (settings.trainer.max_epochs, settings.data.image_size, settings.name) == (2, (32, 32), "v3")


@pytest.mark.process
def test_sigterm_ends_a_fit_within_a_batch_and_says_what_is_kept(fits):
    child, runs = fits["stopped"]
    until = time.monotonic() + ONE_FIT_SECONDS
    while not list(runs.glob("v1/*/checkpoints/best.h5")):
        assert child.poll() is None, child.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)
    run = only_run(runs, "v1")
    with pytest.raises(UserError, match=f"is in use by process {child.pid} on "), only_user(run.path):
        pass
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 128 + signal.SIGTERM
    assert not (run.path / ".lock").exists()
    line = errors.splitlines()[-1]
    assert line.startswith(f"stopped: by SIGTERM; {run.checkpoints / 'last.h5'} holds epoch ")
    assert int(line.split()[-1]) == len(run.read_metrics())
    assert not (run.path / "result.json").exists()
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best.h5", "last.h5"]


@pytest.mark.process
def test_a_validation_loss_that_is_not_finite_ends_a_fit_in_one_line(fits):
    child, _ = fits["validation"]
    _, errors = child.communicate(timeout=ONE_FIT_SECONDS)
    assert child.returncode == 1, errors
    assert errors.splitlines()[-1].startswith(
        "stopped: the validation loss is nan in epoch 1: lower --model."
    )


@pytest.mark.process
def test_a_loss_that_is_not_finite_ends_a_fit_in_one_line(fits):
    child, runs = fits["not finite"]
    _, errors = child.communicate(timeout=ONE_FIT_SECONDS)
    assert child.returncode == 1, errors
    line = errors.splitlines()[-1]
    # Which of the two shows it first is a matter of kernels: with TF_ENABLE_ONEDNN_OPTS=0 it was the second.
    assert re.match(r"stopped: the (validation )?loss is (nan|inf) in epoch ", line), line
    assert "kept" in line or "holds epoch" in line
    assert not (only_run(runs, "v1").path / "result.json").exists()


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["no config given", "v1-rmsprop"]),
        (["--config", "v33"], ['no config "v33" (did you mean "v3"?)', "v1-rmsprop"]),
        (["--config", "v3", "--config", "missing.yaml"], ["missing.yaml"]),
        (["--config", "v3", "--model.lerning_rate", "1"], ['did you mean "--model.learning_rate"?']),
        (["--config", "v3", "--model.learning_rate", "-1"], ["model.learning_rate is -1", "above 0"]),
        (["--config", "v3", "--model.learning_rate", "quick"], ["model.learning_rate is quick", "a number"]),
        (["--config", "v3", "--model.optimizer", "nadamm"], ['did you mean "nadam"?']),
        (["--config", "v3", "--model.arch_arguments", "{depth: 3}"], ["v3 has no depth", "takes none"]),
        (
            ["--config", "v3", "--data.validation_split", "1"],
            ["data.validation_split is 1", "between 0 and 1"],
        ),
        (["--config", "v3", "--data.image_size", "[64]"], ["data.image_size is [64]", "2 values"]),
        (["--config", "v3", "--data.image_size", "[8, 64]"], ["data.image_size is [8, 64]"]),
        (["--config", "v3", "--trainer.devices", "2"], ["trainer.devices", "max_epochs on the Keras side"]),
        (["--config", "v3", "--data.root", "/no/such/folder"], ["/no/such/folder", "data.root"]),
        (["--config", "v3", "--name", "a/b"], ['name is "a/b"']),
        (["--config", "v3", "--callbacks", "[{EarlyStoping: {}}]"], ['did you mean "EarlyStopping"?']),
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path, arguments, words):
    runs = tmp_path / "runs"
    done = subprocess.run(
        [*COMMAND, *arguments, "--runs", str(runs)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert [word for word in words if word not in line] == []
    assert not runs.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: {archh: v3}", 'unknown key model.archh (did you mean "model.arch"?)'),
        ("modell: {arch: v3}", 'unknown key modell (did you mean "model"?)'),
        ("trainer: {devices: 1}", "unknown key trainer.devices: trainer takes max_epochs on the Keras side"),
        ("model: {arch: v4}", 'model.arch is "v4"'),
        ("data: {batch_size: 0}", "data.batch_size is 0: give 1 or more"),
        ("data: {batch_size: null}", "data.batch_size is null"),
        ("data: 3", "data is 3: it holds keys"),
        ("seed_everything: -1", "seed_everything is -1"),
    ],
)
def test_a_bad_key_or_value_names_its_file(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        read_settings(["--config", "v3", "--config", str(path)])
    assert str(raised.value).startswith(f"{path}: {words}")


@pytest.mark.process
def test_a_damaged_image_is_one_line_and_exit_2(images, tmp_path):
    root = tmp_path / "damaged"
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(2):
            (root / name / f"{number}.png").write_bytes((images / name / "1.png").read_bytes())
    (root / "pear" / "1.png").write_bytes(b"not a picture")
    arguments = ["--config", "v3", "--data.root", str(root), "--data.validation_split", "0.5"]
    done = subprocess.run(
        [*COMMAND, *arguments, "--runs", str(tmp_path / "runs")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"images: {len(CLASSES)} classes (")
    assert lines[0].endswith(f"in {root}")
    assert lines[-1].startswith(f"error: image file {root / 'pear' / '1.png'} does not decode")
    assert lines[-1].endswith(f"all such files are listed by python -m lightning_impl.data audit {root}")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.full
@pytest.mark.parametrize("profile", ["tf2.4", "keras3"])
def test_a_full_disk_is_one_line(images, tmp_path, profile):
    """HDF5's library ends the process where it meets one itself."""
    words = [
        "--config",
        "v3",
        "--data.root",
        str(images),
        "--data.expand",
        "null",
        "--trainer.max_epochs",
        "1",
    ]
    command = [*COMMAND, *words, "--model.profile", profile, "--runs", str(tmp_path)]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 500; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: could not save ")
    assert "(File too large): free space or choose another --runs; no epoch was finished" in line
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.glob("*/*/checkpoints/*")] == []


@pytest.mark.process
def test_a_pipe_is_refused_and_parts_of_a_split_set_are_no_classes(images, tmp_path):
    root = tmp_path / "special"
    for part in ("train", "val"):
        for name in CLASSES:
            (root / part / name).mkdir(parents=True)
            (root / part / name / "1.png").write_bytes((images / name / "1.png").read_bytes())
    os.mkfifo(root / "train" / CLASSES[0] / "2.png")
    for folder, line in (
        (root, f"error: {root} holds train and val, which are folders of class folders"),
        (root / "train", f"error: image file {root}/train/{CLASSES[0]}/2.png is a named pipe"),
    ):
        arguments = ["--config", "v3", "--data.root", str(folder), "--runs", str(tmp_path / "runs")]
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=100
        )
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(line)
        assert not (tmp_path / "runs").exists()


def test_later_configs_and_options_win(tmp_path):
    overlay = tmp_path / "small.yaml"
    overlay.write_text("data: {batch_size: 8}\nmodel: {learning_rate: 3e-4}\n")
    settings = read_settings(["--config", "v3", "--config", str(overlay), "--data.batch_size", "4"])
    assert (settings.data.batch_size, settings.model.learning_rate, settings.name) == (4, 3e-4, "v3")
    assert settings.model.arch == "v3"
    settings = read_settings(["--config", str(overlay), "--config", "v1"])
    assert (settings.data.batch_size, settings.model.arch, settings.name) == (32, "v1", "small")


@pytest.mark.process
def test_print_config_round_trips(tmp_path):
    arguments = ["--config", "v1-rmsprop", "--data.subset_per_class", "50", "--print_config"]
    printed = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=True).stdout
    (tmp_path / "printed.yaml").write_text(printed)
    again = read_settings(["--config", str(tmp_path / "printed.yaml")])
    assert yaml.safe_load(again.complete) == yaml.safe_load(printed)
    assert (again.model.optimizer, again.data.subset_per_class, again.name) == ("rmsprop", 50, "v1-rmsprop")


def test_every_config_is_read():
    folder = Path(__file__).parent.parent / "configs"
    paths = sorted(path for path in folder.rglob("*.yaml") if path.name != STUDY_FILE)
    assert paths
    for path in paths:
        settings = read_settings(["--config", str(path)])
        assert settings.name == path.stem


@pytest.mark.process
@pytest.mark.parametrize(
    ("modules", "code"),
    [
        ({"tensorflow", "keras", "tf_keras", "torch"}, 0),
        # The same check on a module that is imported: it can fail.
        ({"yaml"}, 1),
    ],
)
def test_a_config_is_judged_before_anything_heavy_is_imported(modules, code):
    check = f"import sys, keras_reference.fit; sys.exit(bool({modules!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


AWKWARD_NAMES = (
    "Zebra/10.png",
    "Zebra/9.PNG",
    "Zebra/B.jpg",
    "Zebra/a.jpeg",
    "Zebra/a-b/1.bmp",
    "Zebra/a/1.jpg",
    "Zebra/a0.ppm",
    # Keras asks for the ending without its dot.
    "Zebra/png",
    "Zebra/scan_jpg",
    "Zebra/é.png",
    "ant/.hidden.png",
    "ant/2.tiff",
    "ant/deep/er/3.Jpg",
    "ant/x.tif",
    "ant/y y.png",
    "1/1.png",
    "1/01.png",
    "1/001.png",
)
IGNORED_NAMES = ("ant/anim.gif", "ant/new.webp", "Zebra/notes.txt", "loose.png")

COMPARE_WITH_THE_GENERATOR = """
import sys
import numpy as np
from pathlib import Path
from keras_reference.backend import load_keras
from keras_reference.batches import BatchMaker
from keras_reference.config import DataSettings
from keras_reference.data import decode_files, image_module, list_files
from parity_common.augment_settings import AugmentSettings
from parity_common.subset import choose_subset

profile, root = sys.argv[1], Path(sys.argv[2])
keras = load_keras(profile)
settings = DataSettings(validation_split=0.4)
files = list_files(profile, root, settings)
print(len(files.paths), flush=True)
training, validation = decode_files(profile, root, files, (21, 34))
generator = image_module(profile).ImageDataGenerator(rescale=1 / 255, validation_split=0.4)
plain = BatchMaker(keras, profile, AugmentSettings(), 3, 100)
for flag, name, part in ((True, "validation", validation), (False, "training", training)):
    theirs = generator.flow_from_directory(
        str(root), target_size=(21, 34), shuffle=False, subset=name, batch_size=100
    )
    ours = [path for path, chosen in zip(files.paths, files.is_validation) if chosen == flag]
    assert ours == list(theirs.filepaths), (ours, theirs.filepaths)
    assert {name: label for label, name in enumerate(files.class_names)} == theirs.class_indices
    (ours_x, ours_y), = plain.validation(part).as_numpy_iterator()
    theirs_x, theirs_y = next(theirs)
    np.testing.assert_array_equal(ours_x, theirs_x)
    np.testing.assert_array_equal(ours_y, theirs_y)
    assert ours_x.dtype == theirs_x.dtype == np.float32 and len(np.unique(ours_x)) > 50

few = list_files(profile, root, DataSettings(validation_split=0.4, subset_per_class=3, subset_seed=5))
for label, name in enumerate(files.class_names):
    of_class = [path for path, number in zip(files.paths, files.labels) if number == label]
    kept = [of_class[place] for place in choose_subset(len(of_class), 3, 5, label)]
    assert kept == [path for path, number in zip(few.paths, few.labels) if number == label]
assert few.is_validation.tolist() == [True, False, False] * 3
two = [files.class_names[2], files.class_names[0]]
chosen = list_files(profile, root, DataSettings(validation_split=0.4, classes=two))
assert chosen.class_names == two
for label, number in enumerate((2, 0)):
    assert [path for path, given in zip(chosen.paths, chosen.labels) if given == label] == [
        path for path, given in zip(files.paths, files.labels) if given == number
    ]
shuffled = BatchMaker(keras, profile, AugmentSettings(), 3, 4).training(training, 1)
first, second = ([y.argmax(1).tolist() for _, y in shuffled.as_numpy_iterator()] for _ in range(2))
assert first != second and sorted(sum(first, [])) == sorted(sum(second, [])) == sorted(training.labels)

# Augmented and expanded: every image once as it is, twice augmented, anew each epoch unless fixed.
augment = AugmentSettings(rotation_range=20.0, horizontal_flip=True, featurewise_std_normalization=True)
count = len(training.labels)
def epochs(**more):
    maker = BatchMaker(keras, profile, augment, 3, 4, expand=3, **more)
    batches = maker.training(training, 1)
    found = []
    for _ in range(2):
        images = {}
        for number in range(len(batches)):
            picked = batches.order[number * 4 : (number + 1) * 4]
            pixels, labels = batches[number]
            assert (labels.argmax(1) == training.labels[picked % count]).all()
            images.update(zip(picked.tolist(), pixels))
        found.append(images)
        batches.on_epoch_end()
    return maker, found
maker, (first, second) = epochs()
assert sorted(first) == list(range(3 * count)) and maker.images_per_epoch(training) == 3 * count
rescaled = training.images.astype("float32") / 255
mean, deviation = rescaled.mean((0, 1, 2)), rescaled.std((0, 1, 2))
for index in range(count):
    np.testing.assert_allclose(first[index], (rescaled[index] - mean) / deviation, atol=2e-4)
    assert (first[index] == second[index]).all()
    assert not (first[index] == first[index + count]).all()
    assert not (first[index + count] == first[index + 2 * count]).all()
    assert not (first[index + count] == second[index + count]).all()
(maker, (first, second)) = epochs(is_fixed=True)
assert all((first[index] == second[index]).all() for index in range(3 * count))
shown, labels = maker.validation(validation)[0]
standardised = (validation.images[:4].astype("float32") / 255 - mean) / deviation
np.testing.assert_allclose(shown, standardised, atol=2e-4)
"""


@pytest.mark.process
@pytest.mark.parametrize("profile", ["tf2.4", "keras3"])
def test_order_split_and_pixels_match_keras(tmp_path, profile):
    draw = np.random.RandomState(3)
    modes = ("RGB", "L", "RGBA", "P")
    for number, name in enumerate((*AWKWARD_NAMES, "loose.png")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(draw.randint(0, 256, (37, 53, 3), dtype=np.uint8))
        kind = "PNG" if "png" in name.lower() else "JPEG" if "jp" in name.lower() else None
        if kind == "PNG":
            picture = picture.convert(modes[number % 4])
        picture.save(path, kind)
    for name in IGNORED_NAMES[:-1]:
        (tmp_path / name).write_bytes(b"anything")
    done = subprocess.run(
        [sys.executable, "-c", COMPARE_WITH_THE_GENERATOR, profile, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(len(AWKWARD_NAMES))
