"""Optimizers of TF 2.11 to 2.15 go on in a converted model: Keras 3's rules in a file of Keras 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from conftest import PROFILES
from torch import Tensor

from parity_tests.converted import convert
from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.convert import BETWEEN, BETWEEN_NUMBERED, WORDS
from parity_tests.test_convert import SAME, state_after, trained_on
from parity_tests.test_convert import pytestmark as pytestmark
from porting.carry_over import optimizer
from porting.convert.command import profile_of
from porting.convert.compiled import compiled_of, policies
from porting.convert.conversion import convert_file
from porting.keras_file import read_keras_file

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


@pytest.mark.keras
@pytest.mark.parametrize(("name", "suffix"), [*NAMED, *NUMBERED])
def test_training_goes_on_as_in_tf_2_15(trained: Trained, name: str, suffix: str) -> None:
    folder = trained(name, suffix)
    assert "begins anew" not in (folder / "ported" / "README.md").read_text()
    for ours, theirs in both(folder, name, suffix):
        assert (ours - theirs).abs().max() <= SAME * theirs.abs().max()


@pytest.mark.keras
def test_nadam_of_tf_2_15_begins_anew(trained: Trained) -> None:
    text = (trained("nadam", "h5") / "ported" / "README.md").read_text()
    assert "The optimizer's state: Nadam of TF 2.11 to 2.15 multiplies" in text


@pytest.mark.keras
def test_slots_that_are_mistaken_for_one_another_are_found(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer, "_KERAS3_NAMES", {"m": "velocity", "v": "momentum"})
    # The root of what may be negative is no number.
    pairs = both(trained("adamw", "h5"), "adamw", "h5")
    assert not any((ours - theirs).abs().max() <= 1e-3 for ours, theirs in pairs)


@pytest.mark.parametrize(
    "word",
    [word if word in ("Adam", "SGD") else pytest.param(word, marks=pytest.mark.full) for word in WORDS],
)
@pytest.mark.parametrize("profile", PROFILES)
def test_optimizer_given_by_its_name_goes_on_as_in_keras(tmp_path: Path, profile: str, word: str) -> None:
    """A .keras file of tf_keras holds the word alone, which means Keras's defaults."""
    case = f"word_{word}"
    ask_keras("convert.write", profile, case=case, folder=str(tmp_path), suffix="keras", dtype="float64")
    convert(tmp_path / "model.keras", tmp_path / "ported")
    ours = trained_on(tmp_path / "ported", "slotless")
    check_same(ours, state_after(tmp_path, "keras"))


def check_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, expected in theirs.items():
        residual = float((ours[name] - expected).abs().max() / expected.abs().max())
        assert residual < SAME, f"{name}: {residual:.1e}"


@pytest.mark.parametrize("case", ["in_turn", "adadelta"])
def test_state_of_an_odd_file_goes_on(tmp_path: Path, case: str) -> None:
    """One holds the slots of another model, too, the other no count of its steps, as Keras 2.2's Adadelta."""
    ask_keras("convert.write", "tf2.4", case=case, folder=str(tmp_path), suffix="h5", dtype="float64")
    with h5py.File(tmp_path / "model.h5", "r+") as opened:
        group = opened["optimizer_weights"]
        names = [str(name) for name in group.attrs["weight_names"]]
        if case == "adadelta":
            (count,) = (name for name in names if "iter" in name)
            del group[count]
            group.attrs["weight_names"] = [name for name in names if name != count]
        else:
            assert len(names) > 1 + 2 * 4
    convert(tmp_path / "model.h5", tmp_path / "ported")
    assert "begins anew" not in (tmp_path / "ported" / "README.md").read_text()
    check_same(trained_on(tmp_path / "ported", "slotless"), state_after(tmp_path, "h5"))


@pytest.mark.parametrize(("profile", "suffix"), [("tf2.4", "h5"), ("tf2.4", "keras"), ("keras3", "keras")])
def test_optimizer_of_mixed_precision_goes_on(tmp_path: Path, profile: str, suffix: str) -> None:
    """Its state is that of the optimizer inside; that it was compared in float32 is said."""
    ask_keras("convert.write", profile, case="mixed", folder=str(tmp_path), suffix=suffix, dtype="float32")
    file = read_keras_file(tmp_path / f"model.{suffix}")
    found = compiled_of(convert_file(file, profile_of(file), "mixed"), profile_of(file))
    assert found.optimizer is not None
    assert (found.optimizer.name, found.optimizer.shown_rate) == ("adam", 0.003)
    assert 0 < found.optimizer.steps <= 3
    assert sorted(found.slots) == ["class_.bias", "class_.weight", "conv.bias", "conv.weight"]
    assert all(float(slot.abs().max()) > 0 for slots in found.slots.values() for slot in slots.values())
    (line,) = policies(file)
    assert "mixed_float16" in line
    assert "compared" in line
