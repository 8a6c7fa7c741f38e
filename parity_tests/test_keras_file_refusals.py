"""Damaged, wrong and hostile files: one line that names the file, exit code 2, nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import REPOSITORY

from parity_tests.keras_file_makers import (
    BIAS,
    FUNCTIONAL_WEIGHTS,
    describe_here,
    functional_config,
    sequential_config,
    weights_h5,
    write_archive,
    write_h5,
)
from porting.keras_file import KerasFileError, hdf5, read_keras_file

Maker = Callable[[Path], Path]


def _bytes(content: bytes, name: str = "model.h5") -> Maker:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _h5(change: Callable[[h5py.File], object]) -> Maker:
    """A sound .h5 file, changed."""

    def make(folder: Path) -> Path:
        path = write_h5(folder / "model.h5")
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return make


def _h5_config(change: Callable[[dict], object]) -> Maker:
    def make(folder: Path) -> Path:
        config = sequential_config()
        change(config)
        return write_h5(folder / "model.h5", config)

    return make


def _archive_config(change: Callable[[dict], object]) -> Maker:
    def make(folder: Path) -> Path:
        config = functional_config()
        change(config)
        return write_archive(folder / "model.keras", config)

    return make


def _entries(change: Callable[[zipfile.ZipFile], object]) -> Maker:
    """A sound .keras file with more in its archive."""

    def make(folder: Path) -> Path:
        path = write_archive(folder / "model.keras")
        # zipfile warns of a name that is there.
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a") as archive:
            change(archive)
        return path

    return make


def _twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("config.json", "{}")


def _bomb(archive: zipfile.ZipFile) -> None:
    archive.writestr("assets/zeros", b"\0" * 80 * 2**20, zipfile.ZIP_DEFLATED)


def _replace(file: h5py.File, name: str, link: object) -> None:
    del file[name]
    file[name] = link


def _external_storage(file: h5py.File) -> None:
    del file["model_weights/first/first/bias:0"]
    file.create_dataset(
        "model_weights/first/first/bias:0", (4,), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
    )


def _virtual(file: h5py.File) -> None:
    del file["model_weights/first/first/bias:0"]
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("model_weights/first/first/bias:0", layout)


def _shape_bomb(file: h5py.File, **arguments: object) -> None:
    del file["model_weights/first/first/bias:0"]
    file.create_dataset("model_weights/first/first/bias:0", (2**30, 2**10), "f4", **arguments)


def _circle(file: h5py.File) -> None:
    file["model_weights/first/again"] = file["model_weights"]


def _text_weight(file: h5py.File) -> None:
    _replace(file, "model_weights/first/first/bias:0", ["a", "b", "c", "d"])


def _swapped(file: h5py.File) -> None:
    group = file["model_weights/inner"]
    group.attrs["weight_names"] = group.attrs["weight_names"][::-1]


def _unlisted(file: h5py.File) -> None:
    file["model_weights/first/first/gamma:0"] = np.ones(4, "f4")


SOUND_ARCHIVE_WEIGHTS = weights_h5(FUNCTIONAL_WEIGHTS)


def _checkpoint(named: str) -> Maker:
    """The files of `model.save_weights("cp.ckpt")`, alone or as a SavedModel's."""

    def make(folder: Path) -> Path:
        place = (folder / named).parent if named else folder
        place.mkdir(exist_ok=True)
        if place.name == "variables":
            (folder / "saved_model.pb").write_bytes(b"x")
        for name in ("cp.ckpt.index", "cp.ckpt.data-00000-of-00001"):
            (place / name).write_bytes(b"x" * 100)
        return folder / named

    return make


REFUSED: dict[str, tuple[Maker, str]] = {
    "missing": (lambda folder: folder / "none.h5", "cannot be opened: No such file"),
    "empty": (_bytes(b""), "is empty"),
    "lfs": (_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "git lfs pull"),
    "json": (_bytes(b' {"class_name": "Sequential"}'), "give it as --architecture"),
    "random": (_bytes(np.random.RandomState(0).bytes(10_000_000)), "is neither an .h5 nor a .keras file"),
    "random_h5": (_bytes(hdf5.SIGNATURE + np.random.RandomState(0).bytes(100_000)), "damaged or cut off"),
    "random_zip": (_bytes(b"PK\x03\x04" + np.random.RandomState(0).bytes(100_000)), "damaged or cut off"),
    "pipe": (lambda folder: os.mkfifo(folder / "pipe") or folder / "pipe", "is no file and no folder"),
    "empty_folder": (lambda folder: folder, "neither a SavedModel nor an unzipped"),
    "not_keras": (_h5(lambda file: [file.attrs.clear(), file.pop("model_weights")]), "not of a Keras model"),
    "external_link": (
        _h5(lambda file: _replace(file, BIAS, h5py.ExternalLink("/etc/passwd", "/x"))),
        "is a link, perhaps out of the file",
    ),
    "soft_link": (_h5(lambda file: _replace(file, BIAS, h5py.SoftLink("/model_weights"))), "is a link"),
    "external_storage": (_h5(_external_storage), "keeps its numbers in another file"),
    "virtual": (_h5(_virtual), "keeps its numbers in another file"),
    "shape_bomb": (_h5(_shape_bomb), r"claims 4,398,046,511,104 bytes, of which 0"),
    "chunk_bomb": (_h5(lambda file: _shape_bomb(file, compression="gzip", chunks=(1, 1024))), "claims 4,398"),
    "circle": (_h5(_circle), "lies in two places"),
    "text_weight": (_h5(_text_weight), "no numbers"),
    "unlisted_array": (_h5(_unlisted), "gamma:0 belong to no layer"),
    "missing_array": (_h5(lambda file: file.pop(BIAS)), "which it does not hold"),
    "swapped_arrays": (_h5(_swapped), "asks for its kernel: the file is damaged"),
    "no_json": (lambda folder: write_h5(folder / "m.h5", "{'a': 1}"), "model_config is no JSON"),
    "deep_json": (
        lambda folder: write_h5(folder / "m.h5", '{"a":' + "[" * 20_000 + "]" * 20_000 + "}"),
        "nested",
    ),
    "rather_deep_json": (
        lambda folder: write_h5(folder / "m.h5", '{"a":' + "[" * 300 + "]" * 300 + "}"),
        "nested deeper",
    ),
    "list_json": (lambda folder: write_h5(folder / "m.h5", "[1]"), "model_config is a list, not an object"),
    "subclassed": (_h5_config(lambda config: config.update(class_name="Mine", config={})), "author's code"),
    "layers_a_number": (
        _h5_config(lambda config: config["config"].update(layers=3)),
        "is a number, not a list",
    ),
    "no_layers": (_h5_config(lambda config: config["config"].update(layers=[])), "has no layers"),
    "class_null": (
        _h5_config(lambda config: config["config"]["layers"][0].update(class_name=None)),
        "is null",
    ),
    "name_climbs": (
        _h5_config(lambda config: config["config"]["layers"][0]["config"].update(name="../../etc/x")),
        r'"\.\./\.\./etc/x", which no layer is called',
    ),
    "name_with_escape": (
        _h5_config(lambda config: config["config"]["layers"][0]["config"].update(name="\x1b[31mred")),
        "which no layer is called",
    ),
    "name_of_a_megabyte": (
        _h5_config(lambda config: config["config"]["layers"][0]["config"].update(name="x" * 10**6)),
        "which no layer is called",
    ),
    "same_name": (
        _h5_config(lambda config: config["config"]["layers"].append(config["config"]["layers"][0])),
        'two layers of the model are called "first"',
    ),
    "bias_missing_by_config": (
        _h5_config(lambda config: config["config"]["layers"][0]["config"].update(use_bias=False)),
        "has 1 weights by its config, and 2 in the file",
    ),
    "input_unknown": (
        _archive_config(lambda config: config["config"].update(output_layers=[["nobody", 0, 0]])),
        'ends at "nobody"',
    ),
    "call_unknown": (
        _archive_config(lambda config: config["config"].update(output_layers=[["conv", 7, 0]])),
        'call 7 of layer "conv" is used, but not made',
    ),
    "own_output": (
        _archive_config(
            lambda config: config["config"]["layers"][1]["inbound_nodes"].__setitem__(
                0, config["config"]["layers"][2]["inbound_nodes"][0]
            )
        ),
        "takes its own output",
    ),
    "history_wrong": (
        _archive_config(
            lambda config: config["config"]["layers"][2]["inbound_nodes"][0]["args"][0]["config"].update(
                keras_history=["conv", "one", 0]
            )
        ),
        "is one, not a whole number",
    ),
    "object_unknown": (
        lambda folder: write_archive(
            folder / "m.keras", None, weights_h5(FUNCTIONAL_WEIGHTS | {"layers/dense/vars/0": (2, 2)})
        ),
        "layers/dense/vars/0 belong to no layer",
    ),
    "object_missing": (
        lambda folder: write_archive(
            folder / "m.keras",
            None,
            weights_h5(
                {name: shape for name, shape in FUNCTIONAL_WEIGHTS.items() if name != "layers/conv2d/vars/1"}
            ),
        ),
        'layer "conv" has a bias by its config, and none in the file',
    ),
    "zip_bomb": (_entries(_bomb), "unpack to 83,"),
    "zip_twice": (_entries(_twice), '"config.json" is there twice'),
    "zip_climbs": (_entries(lambda archive: archive.writestr("../../evil", "")), "leads out of the archive"),
    "zip_absolute": (_entries(lambda archive: archive.writestr("/etc/evil", "")), "leads out of the archive"),
    "zip_without_config": (
        lambda folder: _zip(folder, {"model.weights.h5": SOUND_ARCHIVE_WEIGHTS}),
        "without config.json",
    ),
    "zip_without_weights": (lambda folder: _zip(folder, {"config.json": b"{}"}), "holds no model.weights.h5"),
    "zip_damaged_member": (
        lambda folder: _flip(write_archive(folder / "m.keras"), b'"Functional"'),
        "damaged or cut off",
    ),
    "bare_graph": (
        lambda folder: _saved_model(folder, {"saved_model.pb": b""}),
        "without keras_metadata.pb, and saved_model.pb describes no Keras model either",
    ),
    "graph_damaged": (
        lambda folder: _saved_model(folder, {"saved_model.pb": b"x"}),
        "protocol buffer message in it is damaged",
    ),
    "metadata_damaged": (
        lambda folder: _saved_model(folder, {"keras_metadata.pb": b"\x0a\xff\x01"}),
        "protocol buffer message in it is damaged",
    ),
    "checkpoint_by_its_name": (_checkpoint("cp.ckpt"), "it holds weights, no model"),
    "checkpoint_index": (_checkpoint("cp.ckpt.index"), "it holds weights, no model"),
    "checkpoint_data": (_checkpoint("cp.ckpt.data-00000-of-00001"), r'load_weights\("cp.ckpt"\)'),
    "checkpoint_folder": (_checkpoint(""), "it holds weights, no model"),
    "checkpoint_of_a_saved_model": (_checkpoint("variables/cp.ckpt.index"), "name its folder, "),
    "metadata_empty": (lambda folder: _saved_model(folder, {"keras_metadata.pb": b""}), "describes no model"),
}


def _zip(folder: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return folder / "model.keras"


def _flip(path: Path, found: bytes) -> Path:
    content = path.read_bytes()
    assert content.count(found) == 1
    path.write_bytes(content.replace(found, found[::-1]))
    return path


def _saved_model(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_bad_file_is_refused_in_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # None of these ends the HDF5 library: the child's own start would be most of the time.
    monkeypatch.setattr(hdf5, "_ask_child", describe_here)
    make, message = REFUSED[case]
    path = make(tmp_path)
    before = _everything(tmp_path)
    with pytest.raises(KerasFileError, match=message) as caught:
        read_keras_file(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert line.isprintable()
    assert len(line) < 500 + len(str(path))
    assert _everything(tmp_path) == before


def _everything(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.process
def test_sound_files_are_read(tmp_path: Path) -> None:
    """What the cases above damage is not refused before."""
    assert len(read_keras_file(write_h5(tmp_path / "m.h5")).weights) == 2
    assert len(read_keras_file(write_archive(tmp_path / "m.keras")).weights) == 2


@pytest.mark.process
@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_cut_off_file_is_refused(part: float, tmp_path: Path) -> None:
    for path in (write_h5(tmp_path / "m.h5"), write_archive(tmp_path / "m.keras")):
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(KerasFileError):
            read_keras_file(path)


@pytest.mark.process
def test_command_says_one_line_and_writes_nothing(tmp_path: Path) -> None:
    path = REFUSED["external_link"][0](tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "porting", "inspect", str(path), "--json", str(tmp_path / "out.json")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {path}: model_weights/first/first/bias:0 is a link")
    assert done.stderr.count("\n") == 1
    assert _everything(tmp_path) == [str(path)]


# The HDF5 library's own crashes and loops differ from version to version: here the child does the same.
@pytest.mark.process
@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"the HDF5 library crashes on it \(SIGSEGV\)"),
        ("resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass", "busy without end"),
        ("raise SystemExit('no h5py')", r"cannot be used \(no h5py\): reinstall h5py"),
    ],
)
def test_end_of_the_child_is_one_line(
    ending: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text(f"import os, resource, signal\n{ending}\n", encoding="utf-8")
    monkeypatch.setattr(hdf5, "_CHILD", child)
    with pytest.raises(KerasFileError, match=message):
        read_keras_file(write_h5(tmp_path / "m.h5"))
