"""Recurrent layers and layers around layers in training.

The dropout of a recurrent layer's inputs is told by how the outputs of an example and of its steps differ.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from lightning_impl.keras_semantics.profile import PROFILES
from parity_tests import rule_port
from parity_tests.keras_oracle import ask_keras_for_files
from parity_tests.rule_cases import cases_for
from parity_tests.rule_cases.case import Case
from parity_tests.rule_port import Answers, Port
from parity_tests.rule_port import files_are_read_here as files_are_read_here
from parity_tests.test_rules_in_training import TOLERANCE as STEP_TOLERANCE
from parity_tests.test_rules_in_training import step_deviation
from porting.helpers.noise import NoiseShapeDropout
from porting.helpers.wrapper import TimeDistributed

FAMILY, BATCH = "recurrent_dropout", 40_000
# Measured: up to 2.4% of a deviation, seeded on both sides; with a mask for other steps 60% and more.
TOLERANCE = {"rtol": 0.06, "atol": 0.004}


@cache
def drawn(profile: str) -> Answers:
    return Answers(*ask_keras_for_files("rules.spread", profile, family=FAMILY, batch=BATCH))


def spread(outputs: np.ndarray) -> np.ndarray:
    """Of `(N, T, units)`: each unit's deviation over the batch, and between the first steps."""
    return np.stack([outputs.std(0).mean(0), (outputs[:, 1] - outputs[:, 0]).std(0)])


def ours(asked: Answers, case: Case, profile: str, changed: bool = False) -> np.ndarray:
    port = Port.of(asked.folder / f"{case.name}.keras", profile, "float32")
    port.net.train()
    (pieces,) = port.net.pieces.values()
    if changed:
        dropout = pieces[0]
        is_shared = isinstance(dropout, NoiseShapeDropout)
        pieces[0] = torch.nn.Dropout(0.4) if is_shared else NoiseShapeDropout(0.4, (None, 1, None))
    torch.manual_seed(0)
    with torch.no_grad():
        return spread(port.run([torch.full((BATCH, *case.sizes[0]), 0.3)]).numpy())


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_input_dropout_is_drawn_as_keras_draws_it(profile: str) -> None:
    asked = drawn(profile)
    for case in cases_for(FAMILY, profile, "float64"):
        theirs = spread(asked.arrays[case.name])
        np.testing.assert_allclose(ours(asked, case, profile), theirs, **TOLERANCE, err_msg=case.name)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_dropout_of_other_steps_fails(profile: str) -> None:
    asked = drawn(profile)
    for case in cases_for(FAMILY, profile, "float64"):
        theirs = spread(asked.arrays[case.name])
        assert not np.allclose(ours(asked, case, profile, changed=True), theirs, **TOLERANCE), case.name


@pytest.mark.keras
def test_time_distributed_normalization_learns_as_keras_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """tf_keras normalises all steps of a batch at once (layers/rnn/time_distributed.py, `call`)."""
    family = "wrapper_training"
    given = {"family": family, "layers": "TimeDistributed", "dtype": "float32"}
    asked = Answers(*ask_keras_for_files("rules.train", "tf2.4", **given))
    cases = list(cases_for(family, "tf2.4", "float32"))
    assert len(cases) == 2
    found = [step_deviation(case, asked, "tf2.4", "float32") for case in cases]
    assert max(found) <= STEP_TOLERANCE["float32"]

    monkeypatch.setattr(TimeDistributed, "forward", _step_by_step)
    # The source that is written has the right one.
    monkeypatch.setattr(rule_port, "checked_net", lambda *given: None)
    found = [step_deviation(case, asked, "tf2.4", "float32") for case in cases]
    assert min(found) > 10 * STEP_TOLERANCE["float32"]


def _step_by_step(self: TimeDistributed, features: torch.Tensor) -> torch.Tensor:
    return torch.stack([self.layer(step) for step in features.unbind(1)], dim=1)
