"""Optimizers of TF 2.11 to 2.15 go on in a converted model: Keras 3's rules in a file of Keras 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity_tests.converted import Made, convert
from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.convert import BETWEEN
from parity_tests.test_convert import SAME, state_after, trained_on
from parity_tests.test_convert import pytestmark as pytestmark
from porting.carry_over import optimizer


@pytest.fixture(scope="module", params=["h5", "keras"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        ask_keras(
            *("convert.write", "tf2.4"),
            case=f"between_{name}",
            folder=str(folder),
            suffix=request.param,
            dtype="float64",
        )
        convert(folder / f"model.{request.param}", folder / "ported")
        return folder

    return make


@pytest.mark.parametrize("name", [name for name in BETWEEN if name != "nadam"])
def test_training_goes_on_as_in_tf_2_15(trained: Made, name: str) -> None:
    folder = trained(name)
    assert "begins anew" not in (folder / "ported" / "README.md").read_text()
    ours = trained_on(folder / "ported", f"between_{name}")
    (saved,) = folder.glob("after.*")
    for weight, theirs in state_after(folder, saved.suffix[1:]).items():
        apart = (ours[weight] - theirs).abs().max() / theirs.abs().max()
        assert apart <= SAME, f"{weight}: {apart:.1e}"


def test_nadam_of_tf_2_15_begins_anew(trained: Made) -> None:
    text = (trained("nadam") / "ported" / "README.md").read_text()
    assert "The optimizer's state, it begins anew: Nadam of TF 2.11 to 2.15 multiplies" in text


def test_slots_that_are_mistaken_for_one_another_are_found(
    trained: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer, "_KERAS3_NAMES", {"m": "velocity", "v": "momentum"})
    folder = trained("adamw")
    ours = trained_on(folder / "ported", "between_adamw")
    (saved,) = folder.glob("after.*")
    theirs = state_after(folder, saved.suffix[1:])
    # The root of what may be negative is no number.
    assert not any((ours[name] - each).abs().max() <= 1e-3 for name, each in theirs.items())
