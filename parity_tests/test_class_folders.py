"""Which folders are classes, what in them is an image, and what a fit says of it at its start."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lightning_impl.data.audit import audit_folder
from lightning_impl.data.decode import decode_image
from lightning_impl.data.image_set import ImageSet
from parity_common.class_folders import list_classes
from parity_common.command_errors import UserError
from parity_tests.entry_point import draw_pictures, fit


def fill(folder: Path, count: int = 5) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        seed = len(list(folder.parent.rglob("*.png")))
        pixels = np.random.RandomState(seed).randint(0, 256, (9, 7, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def set_of(root: Path, cache: Path, **changed: object) -> ImageSet:
    settings = {
        "root": root,
        "source": "stand_in",
        "stand_in_per_class": 2,
        "image_size": (8, 8),
        "validation_split": 0.2,
        "subset_per_class": None,
        "subset_seed": 0,
        "classes": None,
        "cache_root": cache,
    }
    return ImageSet(**{**settings, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "remedy"),
    [
        (("train", "val"), "train"),
        (("Training", "Validation"), "Training"),
        (("TRAIN", "VALID", "TEST"), "TRAIN"),
        (("test_set", "training_set"), "training_set"),
        (("train2017", "val2017"), "train2017"),
        (("dev", "test"), "dev"),
    ],
    ids="-".join,
)
def test_parts_of_a_split_set_are_no_classes(parts: tuple[str, ...], remedy: str, tmp_path: Path) -> None:
    for part in parts:
        fill(tmp_path / part / "ant")
        fill(tmp_path / part / "bee")
    refused = f"which are folders of class folders and no classes: give --data.root {tmp_path / remedy}"
    with pytest.raises(UserError) as raised:
        list_classes(tmp_path)
    assert str(raised.value).endswith(refused)
    # One more folder that nobody meant, empty or not, does not hide them.
    fill(tmp_path / ".ipynb_checkpoints")
    fill(tmp_path / "samples")
    with pytest.raises(UserError) as raised:
        list_classes(tmp_path)
    assert str(raised.value).endswith(refused)
    (found,) = [f for f in audit_folder(tmp_path, 0.2, (8, 8)).findings if f.kind == "too_deep"]
    assert sorted(found.paths) == sorted(parts)
    assert list_classes(tmp_path / parts[0]) == ("ant", "bee")


def test_other_classes_in_each_part_and_a_flat_test_part_are_seen(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "ant")
    fill(tmp_path / "train" / "bee")
    # As Kaggle has it: images without labels.
    fill(tmp_path / "test")
    with pytest.raises(UserError, match=f"give --data.root {tmp_path}/train$"):
        list_classes(tmp_path)
    (tmp_path / "train" / "list.png").write_bytes(b"")
    with pytest.raises(UserError, match="holds test and train, which are folders"):
        list_classes(tmp_path)


def test_classes_that_are_named_like_parts_are_classes(tmp_path: Path) -> None:
    fill(tmp_path / "train")
    fill(tmp_path / "plane")
    assert list_classes(tmp_path) == ("plane", "train")
    # Sorted into folders, too.
    fill(tmp_path / "train" / "steam")
    fill(tmp_path / "train" / "diesel")
    fill(tmp_path / "plane" / "jet")
    assert list_classes(tmp_path) == ("plane", "train")
    fill(tmp_path / "test")
    assert list_classes(tmp_path, ["plane", "train"]) == ("plane", "train")


def test_the_only_folder_may_be_the_one_that_was_meant(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "ant")
    fill(tmp_path / "train" / "bee")
    with pytest.raises(UserError, match=rf"two or more \(or give --data.root {tmp_path}/train\)"):
        list_classes(tmp_path)


def test_links_to_themselves_are_no_classes(tmp_path: Path) -> None:
    """As os.path.isdir, and so Keras, has it."""
    fill(tmp_path / "ant")
    fill(tmp_path / "bee")
    os.symlink("loop", tmp_path / "loop")
    assert list_classes(tmp_path) == ("ant", "bee")


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fails where a file is waited for."""

    def late(number: int, frame: object) -> None:
        raise AssertionError(f"waited for {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # A socket's path may be 107 bytes long.
    before = os.getcwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


SPECIAL = {
    "pipe": (make_pipe, "a named pipe"),
    "socket": (make_socket, "a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "a link to nothing"),
    "loop": (lambda path: path.symlink_to(path.name), "a link to itself"),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_file_is_refused_before_anything_is_read(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    fill(root / "ant")
    fill(root / "bee")
    make, what = SPECIAL[kind]
    path = root / "bee" / "9.png"
    make(path)
    make_pipe(root / "bee" / "99.jpg")
    with within(20), pytest.raises(UserError) as raised:
        set_of(root, tmp_path / "cache").prepare()
    assert str(raised.value) == (
        f"image file {path} is {what} (and 1 more): replace or remove it; all are listed by "
        f"python -m lightning_impl.data audit {root}"
    )
    assert not (tmp_path / "cache").exists()
    with within(20), pytest.raises(UserError, match=f"image file {path} is {what}"):
        decode_image(path, (8, 8))
    with within(20):
        found = audit_folder(root, 0.2, (8, 8)).findings
    assert {finding.paths[0] for finding in found if finding.kind == "unreadable"} == {
        "bee/9.png",
        "bee/99.jpg",
    }


def test_folder_named_as_an_image_is_walked_through(tmp_path: Path) -> None:
    """As Keras does."""
    fill(tmp_path / "set" / "ant" / "album.jpg")
    fill(tmp_path / "set" / "bee")
    image_set = set_of(tmp_path / "set", tmp_path / "cache")
    image_set.prepare()
    assert "ant/album.jpg/0.png" in image_set.index.files


def test_damaged_image_leads_to_the_audit(tmp_path: Path) -> None:
    root = tmp_path / "my set"
    fill(root / "ant")
    fill(root / "bee")
    (root / "bee" / "9.png").write_bytes((root / "bee" / "1.png").read_bytes()[:60])
    with pytest.raises(UserError) as raised:
        set_of(root, tmp_path / "cache").prepare()
    assert str(raised.value).endswith(
        f"replace or remove it; all such files are listed by python -m lightning_impl.data audit '{root}'"
    )


def test_start_says_what_is_odd(tmp_path: Path) -> None:
    root = tmp_path / "set"
    fill(root / "ant")
    fill(root / "ant" / ".ipynb_checkpoints", 2)
    fill(root / ".ipynb_checkpoints", 6)
    fill(root / "bee" / "queens")
    fill(root / "lone", 1)
    (root / "ant" / "new.webp").write_bytes(b"")
    (root / "ant" / "notes.txt").write_text("")
    (root / "loose.png").write_bytes(b"")
    os.symlink(root / "bee", root / "ant" / "linked")
    os.symlink("loop", root / "loop")
    assert list(set_of(root, tmp_path).start_lines()) == [
        "images: 4 classes (.ipynb_checkpoints, ant, bee, lone), 16 for training and 3 for validation, "
        f"in {root}",
        "  counted as classes, as Keras does: .ipynb_checkpoints",
        "  without a validation image: lone",
        "  images in folders within the class, which Keras counts as the class's: bee",
        "  counted as the class's images, as Keras does: ant/.ipynb_checkpoints (2 images)",
        "  not read: 2 files of another suffix (.webp, .txt), 1 linked folder, "
        "1 image beside the class folders",
        f"  every finding with its remedy: python -m lightning_impl.data audit {root}",
    ]


def test_start_of_a_plain_folder_is_one_line(tmp_path: Path) -> None:
    for number in range(12):
        fill(tmp_path / "set" / f"class{number:02}", 10)
    image_set = set_of(tmp_path / "set", tmp_path, subset_per_class=5)
    assert list(image_set.start_lines()) == [
        "images: 12 classes (class00, class01, class02, class03, class04 and 7 more), 48 for training and "
        f"12 for validation, in {tmp_path / 'set'}"
    ]


@pytest.mark.process
def test_fit_says_it_before_it_decodes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    root = draw_pictures(tmp_path / "images")
    (root / "dark" / "bad.png").write_bytes(b"")
    (root / "dark" / "notes.txt").write_text("")
    done = fit("-c", "v3", "--data.root", root, "--data.cache_dir", "cache", cwd=tmp_path, code=2)
    lines = done.stderr.splitlines()
    assert (
        lines[0] == f"images: 3 classes (dark, grey, light), 31 for training and 6 for validation, in {root}"
    )
    assert lines[1] == "  not read: 1 file of another suffix (.txt)"
    assert lines[2] == f"  every finding with its remedy: python -m lightning_impl.data audit {root}"
    assert lines[3].startswith("decoding")
    assert lines[-1].startswith(f"error: image file {root / 'dark' / 'bad.png'} does not decode")
