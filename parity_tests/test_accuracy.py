"""The loss and the accuracy of a converted training are Keras's, whatever form labels have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PROFILES
from torch import Tensor

from parity_tests.converted import SUFFIXES, convert
from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.accuracy import CASES, draw

TOLERANCE = 2e-6
Answers = dict[str, tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """By profile: the folder of the files, and what fit reported."""
    found = {}
    for profile in PROFILES:
        folder = tmp_path_factory.mktemp(f"fitted-{profile}")
        found[profile] = (
            folder,
            ask_keras("accuracy.fitted", profile, folder=str(folder), suffix=SUFFIXES[profile]),
        )
    return found


def reported(folder: Path, batch: tuple[Tensor, Tensor], **arguments: Any) -> dict[str, Tensor]:
    """What the first step of a converted training logs."""
    sys.path.insert(0, str(folder))
    try:
        training = __import__("lightning_module").ModelTraining(**arguments)
    finally:
        sys.path.remove(str(folder))
        for name in ("lightning_module", "model"):
            sys.modules.pop(name, None)
    logged: dict[str, Tensor] = {}
    training.log_dict = lambda figures, **_: logged.update(figures)
    training.training_step(batch, 0)
    return {name: figure.detach() for name, figure in logged.items()}


@pytest.mark.keras
@pytest.mark.parametrize("plain", [False, True], ids=["keras-rules", "plain-torch"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("profile", PROFILES)
def test_training_reports_what_keras_fit_reports(
    fitted: Answers, tmp_path: Path, profile: str, case: str, plain: bool
) -> None:
    folder, answers = fitted[profile]
    convert(folder / f"{list(CASES).index(case)}.{SUFFIXES[profile]}", tmp_path / "ported", plain)
    inputs, labels = draw(case)
    class_weight = CASES[case][4]
    # torch's own losses take no class weights here, and leave out Keras's clipping (D05).
    arguments = {} if plain else {"class_weight": class_weight}
    batch = (torch.from_numpy(inputs).float(), torch.from_numpy(labels))
    ours = reported(tmp_path / "ported", batch, **arguments)
    theirs = {
        name.partition("|")[2]: figure for name, figure in answers.items() if name.startswith(f"{case}|")
    }
    assert ours.keys() == theirs.keys()
    for name, figure in theirs.items():
        if not (name == "loss" and plain and class_weight):
            assert float(ours[name]) == pytest.approx(float(figure), rel=TOLERANCE), name


@pytest.mark.keras
def test_cases_tell_the_accuracies_apart(fitted: Answers) -> None:
    """No figure is that of another rule by chance."""
    _, answers = fitted["keras3"]
    for profile in PROFILES:
        figures = {name: float(figure) for name, figure in fitted[profile][1].items() if "accuracy" in name}
        assert figures == pytest.approx({name: float(answers[name]) for name in figures})
        assert len(set(figures.values())) > 8
