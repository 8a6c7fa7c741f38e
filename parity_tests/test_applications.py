"""keras.applications with random weights: every net converts, and is proven equal, in both generations.

`pytest parity_tests -m applications --write-pages` writes docs/conversions.md.
"""

from __future__ import annotations

import json
from functools import cache

import pytest
from conftest import PROFILES, REPOSITORY
from safetensors.torch import load_file

from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.applications import SIDES
from porting.__main__ import main
from porting.convert.command import profile_of
from porting.convert.conversion import convert_file
from porting.keras_file import read_keras_file

PAGE = REPOSITORY / "docs" / "conversions.md"
MOST_LINES = {"VGG16": 80, "ResNet50": 150}
SUFFIXES = {"tf2.4": ("h5", "keras"), "keras3": ("keras", "h5")}

pytestmark = pytest.mark.applications


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory):
    """A function of name and profile that converts a net and gives what its proof says."""

    @cache
    def find(name: str, profile: str) -> dict:
        folder = tmp_path_factory.mktemp(f"{name}-{profile}")
        ask_keras("applications.write", profile, name=name, folder=str(folder))
        first, second = SUFFIXES[profile]
        code = main(["convert", str(folder / f"model.{first}"), "--out", str(folder / "out")])
        said = json.loads((folder / "out" / "proof.json").read_text())
        lines = (folder / "out" / "model.py").read_text().count("\n")
        # The other format holds the same: the same source, and the same numbers.
        file = read_keras_file(folder / f"model.{second}")
        other = convert_file(file, profile_of(file), "model")
        assert other.text.split("\n", 1)[1] == (folder / "out" / "model.py").read_text().split("\n", 1)[1]
        for key, tensor in load_file(folder / "out" / "weights.safetensors").items():
            assert tensor.equal(other.net.state_dict()[key]), key
        for path in folder.glob("model.*"):
            path.unlink()
        return {"code": code, "lines": lines, "proof": said, "parameters": file.parameters}

    return find


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SIDES)
def test_net_converts_and_is_proven(proven, name: str, profile: str) -> None:
    found = proven(name, profile)
    assert found["code"] == 0, found["proof"]["line"]
    assert found["lines"] <= MOST_LINES.get(name, 10_000)


def test_page_says_what_was_found(proven, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--write-pages"):
        pytest.skip("docs/conversions.md is written with --write-pages")
    rows = [_row(name, profile, proven(name, profile)) for name in SIDES for profile in PROFILES]
    PAGE.write_text(_HEAD + "\n".join(rows) + "\n", encoding="utf-8")


_HEAD = """# Converted networks of keras.applications

Written by `pytest parity_tests -m applications --write-pages`. Each net is built by Keras with random weights and
settled BatchNormalization, for 10 classes, saved as `.h5` and `.keras`, converted (both formats give the same
source and the same numbers) and compared with Keras layer by layer. Residuals are norms of differences over
norms, the worst of all layers, and of all gradients.

| net | profile | pixels | parameters | lines of model.py | activation, float32 | float64 | gradient, float32 | float64 |
|---|---|---|---|---|---|---|---|---|
"""


def _row(name: str, profile: str, found: dict) -> str:
    worst = {
        (rung, dtype): max(
            (
                figure["residual"]
                for line in found["proof"]["lines"]
                if line["rung"] == rung
                for run, figure in line["figures"].items()
                if run.startswith(dtype)
            ),
            default=float("nan"),
        )
        for rung in ("layers", "gradients")
        for dtype in ("float32", "float64")
    }
    figures = " | ".join(f"{worst[key]:.1e}" for key in worst)
    side = SIDES[name]
    return f"| {name} | {profile} | {side} | {found['parameters']:,} | {found['lines']} | {figures} |"
