"""The sets of `data.source`, on small ones in each set's own layout, read by torchvision's own code.

No test reaches the network: downloads go to a server on this machine, or to a port where nothing listens.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import importlib
import inspect
import io
import json
import pickle
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torchvision.datasets.utils as torchvision_utils
from PIL import Image
from torchvision.datasets import Food101

from keras_reference.config import DataSettings, read_settings
from keras_reference.data import image_folder
from lightning_impl.data.datamodule import ImageData
from lightning_impl.data.decode import decode_image
from lightning_impl.data.index import index_folder
from lightning_impl.data.sources import cifar100, prepare, prepare_source
from lightning_impl.data.sources.prepare import SETS
from parity_common.cache_folder import cache_root
from parity_common.command_errors import UserError
from parity_common.data_sources import FOLDER_OF_SOURCE, source_folder
from parity_tests.entry_point import fit
from parity_tests.keras_oracle import PROFILES, ask_keras

# More than the thirty that are taken, in an order that is not the alphabet's.
FOOD = [f"dish_{number}" for number in range(33)][::-1]
FINE_LABELS = [f"thing_{number:02}" for number in range(34)]
OBJECTS = ["BACKGROUND_Google", "Faces", "accordion", *(f"object_{number:02}" for number in range(99))]
MODULES = {"food101": "food101", "cifar100": "cifar", "caltech101": "caltech"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request but one to this machine goes to a proxy that does not exist."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    # urllib keeps the proxies of its first request.
    monkeypatch.setattr(urllib.request, "_opener", None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return cache_root(str(tmp_path))


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Checksums that torchvision takes for those of the whole sets; every other one stays wrong."""
    checksums: set[str] = set()

    def check_md5(path, md5, **more) -> bool:
        return torchvision_utils.calculate_md5(path) in checksums

    monkeypatch.setattr(torchvision_utils, "check_md5", check_md5)
    return checksums


def jpeg(seed: int) -> bytes:
    pixels = np.random.RandomState(seed).randint(0, 256, (9, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def food101_files() -> dict[str, bytes]:
    """As food-101.tar.gz has them: three training images a class and one test image."""
    meta: dict[str, dict] = {"train": {}, "test": {}}
    files = {}
    for label, name in enumerate(FOOD):
        stems = [f"{name}/{1000 * label + number}" for number in (7, 30, 200, 4)]
        meta["train"][name], meta["test"][name] = stems[:3], stems[3:]
        files |= {f"food-101/images/{stem}.jpg": jpeg(label) for stem in stems}
    files |= {f"food-101/meta/{part}.json": json.dumps(names).encode() for part, names in meta.items()}
    return {
        **files,
        "food-101/meta/classes.txt": "\n".join(sorted(FOOD)).encode(),
        "food-101/README.txt": b"",
    }


def cifar100_pixels(part: str) -> tuple[np.ndarray, list[int]]:
    """`(N, 3072)` uint8, channel planes one after the other as the set has them, and the labels."""
    draw = np.random.RandomState(len(part))
    labels = draw.permutation(np.repeat(np.arange(len(FINE_LABELS)), 3 if part == "train" else 2))
    return draw.randint(0, 256, (len(labels), 3072), dtype=np.uint8), labels.tolist()


def cifar100_files() -> dict[str, bytes]:
    files = {}
    for part in ("train", "test"):
        pixels, labels = cifar100_pixels(part)
        content = {"data": pixels, "fine_labels": labels, "coarse_labels": labels, "filenames": []}
        files[f"cifar-100-python/{part}"] = pickle.dumps(content)
    files["cifar-100-python/meta"] = pickle.dumps({"fine_label_names": FINE_LABELS})
    return files


def caltech101_files() -> dict[str, bytes]:
    return {
        f"101_ObjectCategories/{name}/image_{number:04}.jpg": jpeg(1000 + 10 * label + number)
        for label, name in enumerate(OBJECTS)
        for number in (1, 2)
    }


FILES = {"food101": food101_files, "cifar100": cifar100_files, "caltech101": caltech101_files}


def tar_gz(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def archive_of(source: str) -> bytes:
    """The set's archive: Caltech-101's is a zip with an archive of the images in it."""
    inner = tar_gz(FILES[source]())
    if source != "caltech101":
        return inner
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("caltech-101/101_ObjectCategories.tar.gz", inner)
        archive.writestr("caltech-101/Annotations.tar", b"")
        archive.writestr("__MACOSX/caltech-101/._Annotations.tar", b"")
    return packed.getvalue()


def unpack_by_hand(source: str, root: Path) -> Path:
    """The unpacked folder, where a user is told to put it."""
    unpacked = root / "downloads" / SETS[source].unpacked
    for name, content in FILES[source]().items():
        path = unpacked.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return unpacked


def put_archive(source: str, root: Path, trusted: set[str], content: bytes | None = None) -> Path:
    path = root / "downloads" / SETS[source].archive
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(archive_of(source) if content is None else content)
    trust(trusted, path.read_bytes(), *(cifar100_files().values() if source == "cifar100" else ()))
    return path


def trust(trusted: set[str], *contents: bytes) -> None:
    trusted.update(hashlib.md5(content, usedforsecurity=False).hexdigest() for content in contents)


def classes_of(source: str) -> list[str]:
    if source == "caltech101":
        return sorted(OBJECTS[1:])
    return sorted(FOOD)[:30] if source == "food101" else FINE_LABELS[:30]


def refusal(source: str, root: Path) -> str:
    with pytest.raises(UserError) as raised:
        prepare_source(source, root)
    line = str(raised.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("source", SETS)
def test_archive_put_by_hand_is_enough(source: str, root: Path, trusted: set[str]) -> None:
    archive = put_archive(source, root, trusted)
    folder = prepare_source(source, root)
    assert folder == source_folder(root, source)
    index = index_folder(folder, 0.5)
    assert list(index.class_names) == classes_of(source)
    per_class = {"food101": 4, "cifar100": 5, "caltech101": 2}[source]
    assert np.bincount(index.labels).tolist() == [per_class] * len(index.class_names)
    assert archive.is_file(), "the user's archive stays"
    assert not [path for path in root.rglob("*") if path.name.endswith(".part")]


@pytest.mark.process
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("source", SETS)
def test_set_is_read_alike_by_keras(source: str, profile: str, root: Path, trusted: set[str]) -> None:
    unpack_by_hand(source, root)
    trust(trusted, *FILES[source]().values())
    folder = prepare_source(source, root)
    ours = index_folder(folder, 0.5)
    theirs = ask_keras("folder_order", profile, root=str(folder), validation_split=0.5)
    assert list(ours.class_names) == theirs["class_names"].tolist() == classes_of(source)
    for part, validation in (("training", False), ("validation", True)):
        places = ours.places(validation)
        assert places
        assert [ours.files[place] for place in places] == theirs[f"{part}_files"].tolist()
        assert [ours.labels[place] for place in places] == theirs[f"{part}_labels"].tolist()


def test_cifar100_pictures_are_the_sets_pixels_training_first(root: Path, trusted: set[str]) -> None:
    put_archive("cifar100", root, trusted)
    folder = prepare_source("cifar100", root)
    label = 17
    expected = []
    for part in ("train", "test"):
        pixels, labels = cifar100_pixels(part)
        expected += [row.reshape(3, 32, 32).transpose(1, 2, 0) for row in pixels[np.array(labels) == label]]
    paths = sorted((folder / FINE_LABELS[label]).iterdir())
    assert [path.name for path in paths] == [f"thing_17_{number:04}.png" for number in range(1, 6)]
    for path, pixels in zip(paths, expected, strict=True):
        assert np.array_equal(decode_image(path, (32, 32)), pixels)


@pytest.mark.parametrize("source", SETS)
def test_prepared_set_is_only_read(
    source: str, root: Path, trusted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_archive(source, root, trusted)
    folder = prepare_source(source, root)
    before = {path: path.lstat().st_mtime_ns for path in folder.iterdir()}

    def never(*arguments):
        raise AssertionError("fetched again")

    monkeypatch.setattr(prepare, "fetch", never)
    (root / "sets/.lock").unlink()
    assert prepare_source(source, root) == folder
    assert not (root / "sets/.lock").exists(), "it may lie where nothing can be written"
    assert {path: path.lstat().st_mtime_ns for path in folder.iterdir()} == before
    if source != "cifar100":
        # Links that lead nowhere would make their classes vanish in silence.
        shutil.rmtree(root / "downloads" / SETS[source].unpacked)
        with pytest.raises(AssertionError, match="fetched again"):
            prepare_source(source, root)


@pytest.mark.parametrize("source", SETS)
def test_no_network_is_one_quick_line(source: str, root: Path) -> None:
    started = time.monotonic()
    line = refusal(source, root)
    assert time.monotonic() - started < 20
    downloads = root / "downloads"
    assert line.startswith(f"cannot download {SETS[source].title} from {SETS[source].url} (")
    assert "refused" in line
    for path in (downloads / SETS[source].archive, downloads / SETS[source].unpacked):
        assert f"{path}," in line
    assert line.endswith("or leave data.source out: the stand-in needs no download")
    assert not source_folder(root, source).exists()
    assert not list(downloads.iterdir()), "nothing half-made stays"


@pytest.mark.parametrize("source", SETS)
def test_url_and_archive_are_torchvisions(source: str) -> None:
    text = inspect.getsource(importlib.import_module(f"torchvision.datasets.{MODULES[source]}"))
    assert f'"{SETS[source].url}"' in text
    assert Path(SETS[source].archive).name in text


@pytest.mark.parametrize("source", SETS)
def test_damaged_archive_is_one_line(source: str, root: Path, trusted: set[str]) -> None:
    archive = put_archive(source, root, trusted)
    trusted.clear()
    line = refusal(source, root)
    assert line.startswith(f"{archive} is damaged or not torchvision's archive")
    assert f"from {SETS[source].url} (" in line
    # Of the checksum that torchvision wants, but not to be unpacked: cut short, damaged within, none at all.
    whole = archive_of(source)
    numbers = tar_gz({"numbers": " ".join(map(str, range(50_000))).encode()})
    middle = len(numbers) // 2
    damaged = numbers[:middle] + b"\xff" * 90 + numbers[middle + 90 :]
    for content in (whole[: len(whole) // 2], damaged, b"none at all"):
        put_archive(source, root, trusted, content)
        line = refusal(source, root)
        assert line.startswith(f"cannot unpack {archive} (")
        assert "replace it" in line
    put_archive(source, root, trusted)
    assert prepare_source(source, root).is_dir()


@pytest.mark.parametrize("source", SETS)
def test_unpacked_folder_that_is_not_whole_is_refused(source: str, root: Path, trusted: set[str]) -> None:
    unpacked = unpack_by_hand(source, root)
    trust(trusted, *FILES[source]().values())
    if source == "food101":
        missing = unpacked / "images/dish_10/22007.jpg"
        content = missing.read_bytes()
        missing.unlink()
        assert "images/dish_10/22007.jpg is missing" in refusal(source, root)
        missing.write_bytes(content)
        (unpacked / "images/dish_10/._1.jpg").write_bytes(b"")
        assert "images/dish_10/._1.jpg should not be there" in refusal(source, root)
        (unpacked / "meta/test.json").unlink()
    elif source == "cifar100":
        (unpacked / "test").write_bytes(b"")
    else:
        shutil.rmtree(unpacked / "accordion")
    line = refusal(source, root)
    assert line.startswith(f"{unpacked} is not {SETS[source].title} as torchvision unpacks it (")
    assert "remove it" in line
    assert not source_folder(root, source).exists()


def test_interrupted_writing_leaves_nothing_broken(
    root: Path, trusted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_archive("cifar100", root, trusted)

    def stopped_after_seven(description: str):
        def over(items, total):
            yield from items[:7]
            raise KeyboardInterrupt

        return over

    with monkeypatch.context() as patched:
        patched.setattr(cifar100, "track", stopped_after_seven)
        with pytest.raises(KeyboardInterrupt):
            prepare_source("cifar100", root)
    assert [path.name for path in (root / "sets").iterdir()] == [".lock"]
    # What a killed process leaves, which nothing cleaned up.
    half = root / "sets/.cifar100-30.part/thing_99"
    half.mkdir(parents=True)
    (half / "cut.png").write_bytes(b"")
    folder = prepare_source("cifar100", root)
    assert sorted(path.name for path in folder.iterdir()) == FINE_LABELS[:30]
    assert not half.exists()


def test_killed_unpacking_is_done_anew(root: Path, trusted: set[str]) -> None:
    put_archive("food101", root, trusted)
    half = root / "downloads/.Food-101.part/food-101"
    for name in ("meta", "images/dish_0"):
        (half / name).mkdir(parents=True)
    (half / "images/dish_0/foreign.jpg").write_bytes(b"")
    folder = prepare_source("food101", root)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FOOD)[:30]
    assert not half.parent.exists()
    assert not list(folder.rglob("foreign.jpg"))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[bytes, int]]]:
    """A server on this machine that Food-101 comes from: bodies to send, each with the length it claims."""
    bodies: list[tuple[bytes, int]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # torchvision asks twice: for where the URL leads, then for the file.
            body, length = bodies[0]
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *arguments) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setattr(Food101, "_URL", f"http://127.0.0.1:{server.server_port}/food-101.tar.gz")
        yield bodies
        server.shutdown()
        thread.join()


def test_download_that_breaks_off_is_made_anew(served: list, root: Path, trusted: set[str]) -> None:
    whole = archive_of("food101")
    trust(trusted, whole)
    served.append((whole[:5000], len(whole)))
    line = refusal("food101", root)
    assert line.startswith("cannot download Food-101 from ")
    assert "corrupted" in line or "retrieval incomplete" in line or "IncompleteRead" in line
    assert not source_folder(root, "food101").exists()
    served[0] = (whole, len(whole))
    folder = prepare_source("food101", root)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FOOD)[:30]
    assert (root / "downloads/food-101.tar.gz").read_bytes() == whole
    # The set is there: nothing is asked of the server any more.
    served.clear()
    shutil.rmtree(folder)
    assert prepare_source("food101", root) == folder


@pytest.mark.process
def test_second_start_waits_for_the_first(root: Path, tmp_path: Path) -> None:
    unpack_by_hand("caltech101", root)
    (root / "sets").mkdir()
    command = [
        sys.executable,
        "-m",
        "lightning_impl.data.sources",
        "caltech101",
        "--cache-dir",
        str(tmp_path),
    ]
    with open(root / "sets/.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert child.stderr.readline().startswith("waiting for another start")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1)
        assert not source_folder(root, "caltech101").exists()
    said, _ = child.communicate(timeout=60)
    assert (child.returncode, said) == (0, f"{source_folder(root, 'caltech101')}\n")


@pytest.mark.process
def test_image_data_prepares_on_demand_once(
    root: Path, tmp_path: Path, trusted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_archive("cifar100", root, trusted)
    data = ImageData(source="cifar100", cache_dir=str(tmp_path), image_size=(32, 32), validation_split=0.4)
    assert not (root / "sets").exists(), "nothing is fetched before it is asked for"
    assert data.class_names == FINE_LABELS[:30]
    monkeypatch.setattr(prepare, "fetch", None)
    data.prepare_data()
    data.setup("fit")
    assert (len(data.training), len(data.validation)) == (90, 60)
    # A folder of one's own goes before any source.
    mine = tmp_path / "mine"
    for name in ("a", "b"):
        (mine / name).mkdir(parents=True)
    assert ImageData(root=str(mine), source="food101", cache_dir=str(tmp_path)).class_names == ["a", "b"]


@pytest.mark.process
def test_keras_side_prepares_in_a_child(root: Path, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    settings = DataSettings(source="caltech101", cache_dir=str(tmp_path))
    with pytest.raises(SystemExit) as raised:
        image_folder(settings)
    assert raised.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: cannot download Caltech-101 from ")
    unpack_by_hand("caltech101", root)
    folder = image_folder(settings)
    assert folder == source_folder(root, "caltech101")
    assert sorted(path.name for path in folder.iterdir()) == classes_of("caltech101")


@pytest.mark.process
def test_overlay_config_trains_on_the_set(root: Path, tmp_path: Path) -> None:
    unpack_by_hand("caltech101", root)
    size = ("--data.image_size", "[16,16]", "--data.validation_split", "0.5", "--data.cache_dir", tmp_path)
    overlaid = ("--config", "v3", "--config", "caltech101", *size)
    fit(*overlaid, "--trainer.fast_dev_run", "true", cwd=tmp_path)
    assert len(list(source_folder(root, "caltech101").iterdir())) == 101
    settings = read_settings(["--config", "v3", "--config", "caltech101"])
    assert (settings.data.source, settings.name, settings.model.arch) == ("caltech101", "v3", "v3")


@pytest.mark.process
def test_unknown_source_is_refused_with_the_nearest(tmp_path: Path) -> None:
    said = 'data.source is food11: one of stand_in, food101, cifar100, caltech101 (did you mean "food101"?)'
    with pytest.raises(UserError) as raised:
        ImageData(source="food11")
    assert str(raised.value) == said
    arguments = ("--config", "v3", "--data.source", "food11")
    assert fit(*arguments, cwd=tmp_path, code=2).stderr == f"error: {said}\n"
    with pytest.raises(UserError) as raised:
        read_settings(list(arguments))
    assert str(raised.value) == said
    command = [sys.executable, "-m", "lightning_impl.data.sources", "food11"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")


def test_every_downloaded_source_has_a_set_and_an_overlay() -> None:
    assert list(SETS) == list(FOLDER_OF_SOURCE)
    for source in SETS:
        assert read_settings(["--config", "v3", "--config", source]).data.source == source
