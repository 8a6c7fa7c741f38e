"""Damaged files by the hundred: each is read or refused in one line, and nothing else happens."""

from __future__ import annotations

import collections
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY

from porting.keras_file import KerasFileError, read_keras_file


@pytest.mark.process
@pytest.mark.parametrize(
    ("command", "count", "seed"),
    [
        ("inspect", 300, 0),
        ("convert", 100, 0),
        pytest.param("inspect", 2000, 1, marks=pytest.mark.fuzz, id="inspect-2000"),
        pytest.param("convert", 2000, 1, marks=pytest.mark.fuzz, id="convert-2000"),
    ],
)
def test_damaged_files_are_read_or_refused(command: str, count: int, seed: int, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "parity_tests.fuzz_files", command, str(folder), str(count), str(seed)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "",
            "TMPDIR": str(tmp_path),
            "OMP_NUM_THREADS": "1",
            # Which torch makes at its import.
            "TORCHINDUCTOR_CACHE_DIR": f"{tmp_path}-torch",
        },
    )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["number"] for result in results] == list(range(count))
    for result in results:
        _check(result, folder, command)
    states = collections.Counter(result["state"] for result in results)
    # Damage that changes nothing would prove nothing, and neither would damage that leaves no file whole.
    assert states["refused"] > count / 4
    assert states["read"] > count / 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]
    kept = [result["number"] for result in results if result["state"] == "hdf5 ended"]
    assert sorted(path.stem for path in folder.iterdir()) == sorted(f"kept-{number}" for number in kept)


def _check(result: dict[str, Any], folder: Path, command: str) -> None:
    assert result["state"] != "failed", result["said"]
    assert result["wrote"] == (result["state"] == "read")
    if result["state"] == "refused":
        # A file that is whole, of layers that cannot be converted: all of them are named.
        is_of_layers = command == "convert" and "cannot be converted: " in result["said"]
        assert is_of_layers or result["said"].startswith(f"{folder}/damaged.")
        assert result["said"].isprintable()
        assert len(result["said"]) < (3000 if is_of_layers else 600 + len(str(folder)))
    if result["state"] == "hdf5 ended":
        (path,) = folder.glob(f"kept-{result['number']}.*")
        with pytest.raises(KerasFileError, match="HDF5 library"):
            read_keras_file(path)
