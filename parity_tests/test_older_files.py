"""Files of TF 2.0 to 2.4, 2.13 and 2.14, and inputs of another shape than the file's: read and proven."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from parity_tests.keras_file_makers import as_tf24, as_tf213
from parity_tests.keras_oracle import ask_keras
from porting.__main__ import main
from porting.keras_file import KerasFile, KerasFileError, read_keras_file


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of net-tf2.4.keras, net-keras3.keras and saved/, one net in all of them."""
    folder = tmp_path_factory.mktemp("written")
    for profile in ("tf2.4", "keras3"):
        ask_keras("older_files.write", profile, path=str(folder / f"net-{profile}.keras"))
    ask_keras("older_files.write", "tf2.4", path=str(folder / "saved"))
    return folder


def same_weights(ours: KerasFile, theirs: KerasFile) -> bool:
    both = zip(ours.named_weights(), theirs.named_weights(), strict=True)
    return all(
        name == other and np.array_equal(array.read(), stored.read())
        for (name, array), (other, stored) in both
    )


@pytest.mark.keras
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_weights_of_tf213_are_read(separator: str, written: Path, tmp_path: Path) -> None:
    path = as_tf213(written / "net-tf2.4.keras", tmp_path / "net.keras", separator)
    file = read_keras_file(path)
    assert same_weights(file, read_keras_file(written / "net-tf2.4.keras"))
    assert len(list(file.named_weights())) == 10


@pytest.mark.keras
@pytest.mark.parametrize("separator", [pytest.param("/", marks=pytest.mark.full), "\\"])
def test_file_that_keras_cannot_load_is_proven_from_our_reading(
    separator: str, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = as_tf213(written / "net-tf2.4.keras", tmp_path / "net.keras", separator)
    assert main(["convert", str(path), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    # What was not compared is not claimed.
    assert "in inference, which was given the weights as they were read here: 7 layers" in printed
    said = json.loads((tmp_path / "out" / "proof.json").read_text())
    assert "cannot load it" in said["attempts"][-1]["unread"]
    assert any("was not compared" in note for note in said["notes"])
    assert "bitwise" not in (tmp_path / "out" / "proof.html").read_text()


@pytest.mark.keras
def test_saved_model_of_tf24_is_read_and_proven(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "saved"
    shutil.copytree(written / "saved", folder)
    as_tf24(folder)
    assert same_weights(read_keras_file(folder), read_keras_file(written / "saved"))
    assert main(["convert", str(folder), "--out", str(tmp_path / "out")]) == 0
    assert "in inference: 7 layers" in capsys.readouterr().out


@pytest.mark.keras
def test_table_of_words_is_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask_keras("older_files.write_with_words", "tf2.4", path=str(tmp_path / "saved"))
    assert main(["inspect", str(tmp_path / "saved")]) == 0
    printed = capsys.readouterr().out
    assert 'cannot be converted: TextVectorization "words": there is no rule for TextVectorization' in printed


@pytest.mark.keras
@pytest.mark.parametrize("profile", ["tf2.4", pytest.param("keras3", marks=pytest.mark.full)])
def test_input_shape_other_than_the_files_is_proven(
    profile: str, written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["convert", str(written / f"net-{profile}.keras"), "--out", str(tmp_path / "out")]
    assert main([*words, "--input-shape", "14,18,3"]) == 0
    assert "equal to" in capsys.readouterr().out
    said = json.loads((tmp_path / "out" / "proof.json").read_text())
    assert "(N, 14, 18, 5)" in {line["shape"] for line in said["lines"]}


@pytest.mark.keras
def test_places_that_differ_by_backslashes_alone_are_refused(written: Path, tmp_path: Path) -> None:
    path = as_tf213(written / "net-tf2.4.keras", tmp_path / "net.keras", "\\")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        name = next(name for name, group in file.items() if "\\" in name and len(group["vars"]))
        file[f"{name.replace(chr(92), '/')}/vars/0"] = np.zeros(3)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "model.weights.h5": weights.getvalue()}.items():
            archive.writestr(name, content)
    with pytest.raises(KerasFileError, match="one name but for backslashes"):
        read_keras_file(path)
