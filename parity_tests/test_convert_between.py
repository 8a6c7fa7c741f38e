"""Optimizers of TF 2.11 to 2.15 go on in a converted model: Keras 3's rules in a file of Keras 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from parity_tests.converted import convert
from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.convert import BETWEEN, BETWEEN_NUMBERED
from parity_tests.test_convert import SAME, state_after, trained_on
from parity_tests.test_convert import pytestmark as pytestmark
from porting.carry_over import optimizer

NAMED = [(name, "h5") for name in BETWEEN if name != "nadam"]
NUMBERED = [(name, "keras") for name in ("adam", "rmsprop", "plain_sgd")]
NUMBERED += [(name, "keras") for name in BETWEEN_NUMBERED]

Trained = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A function of an optimizer of BETWEEN and a suffix that gives a folder with `ported` and `after.*`."""

    def make(name: str, suffix: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        asked = {"case": f"between_{name}", "folder": str(folder), "suffix": suffix, "dtype": "float64"}
        ask_keras("convert.write", "tf2.4", **asked)
        convert(folder / f"model.{suffix}", folder / "ported")
        return folder

    return make


def both(folder: Path, name: str, suffix: str) -> list[tuple[Tensor, Tensor]]:
    """Each weight after the steps behind the save: ours, and Keras's."""
    ours, theirs = trained_on(folder / "ported", f"between_{name}"), state_after(folder, suffix)
    assert ours.keys() == theirs.keys()
    return [(ours[weight], theirs[weight]) for weight in theirs]


@pytest.mark.parametrize(("name", "suffix"), [*NAMED, *NUMBERED])
def test_training_goes_on_as_in_tf_2_15(trained: Trained, name: str, suffix: str) -> None:
    folder = trained(name, suffix)
    assert "begins anew" not in (folder / "ported" / "README.md").read_text()
    for ours, theirs in both(folder, name, suffix):
        assert (ours - theirs).abs().max() <= SAME * theirs.abs().max()


def test_nadam_of_tf_2_15_begins_anew(trained: Trained) -> None:
    text = (trained("nadam", "h5") / "ported" / "README.md").read_text()
    assert "The optimizer's state: Nadam of TF 2.11 to 2.15 multiplies" in text


def test_slots_that_are_mistaken_for_one_another_are_found(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer, "_KERAS3_NAMES", {"m": "velocity", "v": "momentum"})
    # The root of what may be negative is no number.
    pairs = both(trained("adamw", "h5"), "adamw", "h5")
    assert not any((ours - theirs).abs().max() <= 1e-3 for ours, theirs in pairs)
