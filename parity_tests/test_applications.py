"""keras.applications with random weights: every net converts, and is proven equal, in both generations.

`pytest parity_tests -m applications --write-pages` writes docs/conversions.md.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from conftest import PROFILES
from safetensors.torch import load_file

from parity_tests.conversions_page import MOST_LINES, keep, measure
from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.applications import SIDES
from porting.__main__ import main
from porting.convert.command import profile_of
from porting.convert.conversion import convert_file
from porting.keras_file import read_keras_file

SUFFIXES = {"tf2.4": ("h5", "keras"), "keras3": ("keras", "h5")}

pytestmark = pytest.mark.applications


def proven(name: str, profile: str, folder: Path) -> dict:
    """Converts a net, and gives what its proof says."""
    ask_keras("applications.write", profile, name=name, folder=str(folder))
    first, second = SUFFIXES[profile]
    started = time.perf_counter()
    code = main(["convert", str(folder / f"model.{first}"), "--out", str(folder / "out")])
    seconds = time.perf_counter() - started
    source = (folder / "out" / "model.py").read_text()
    # The other format holds the same: the same source, and the same numbers.
    file = read_keras_file(folder / f"model.{second}")
    other = convert_file(file, profile_of(file), "model")
    assert other.text.split("\n", 1)[1] == source.split("\n", 1)[1]
    for key, tensor in load_file(folder / "out" / "weights.safetensors").items():
        assert tensor.equal(other.net.state_dict()[key]), key
    for path in folder.glob("model.*"):
        path.unlink()
    return {
        "code": code,
        "lines": source.count("\n"),
        "proof": json.loads((folder / "out" / "proof.json").read_text()),
        "parameters": file.parameters,
        "seconds": seconds,
    }


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SIDES)
def test_net_converts_and_is_proven(
    name: str, profile: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found = proven(name, profile, tmp_path)
    measured = measure(name, profile, found)
    if request.config.getoption("--write-pages"):
        keep(measured)
    # A softmax that is certain has no gradient: it would be compared with nothing.
    assert measured["worst"][-2] != 0
    assert found["code"] == 0, found["proof"]["line"]
    assert found["lines"] <= MOST_LINES.get(name, 10_000)
