"""D52: the gradient of MaxPooling3D goes to all near ties in TensorFlow on a CPU, and the proof knows it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from lightning_impl.keras_semantics.profile import PROFILES
from parity_tests.proof_cases import recorded
from parity_tests.test_proof import proven
from porting.proof import compare
from porting.proof.verdict import GRADIENTS

FORMATS = {"tf2.4": "h5", "keras3": "keras"}


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_d52_near_ties_share_the_gradient(profile: str) -> None:
    proof = proven(recorded("near_ties", profile, FORMATS[profile]))
    assert proof.holds, proof.line
    # TensorFlow has no MaxPool3D in float64.
    assert proof.largest(GRADIENTS, "float32") < 2e-5
    assert any("D52" in note for note in proof.notes)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_d52_torchs_own_gradient_is_found(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "NearTiesShare", nullcontext)
    proof = proven(recorded("near_ties", profile, FORMATS[profile]))
    parting = {line.name: line for line in proof.lines if not line.holds}
    assert {"conv/kernel", "conv/bias", "input frames"} <= set(parting)
    assert {line.rung for line in parting.values()} == {GRADIENTS}
    assert parting["conv/kernel"].figures["float32 random"].residual > 0.1
