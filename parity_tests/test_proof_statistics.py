"""Normalization's own statistics are Keras's side of a proof, where Keras 3 loads a file without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_impl.keras_semantics.profile import PROFILES
from parity_tests.keras_oracle import ask_keras
from parity_tests.proof_cases import FORMATS, recorded, written
from parity_tests.test_proof import proven
from porting.keras_file import read_keras_file
from porting.program import program_of
from porting.proof.compare import Port, compare
from porting.proof.recording import Recording
from porting.proof.verdict import LAYERS


@pytest.mark.keras
@pytest.mark.parametrize(("profile", "ending"), FORMATS)
def test_statistics_of_a_file_are_taken_up(profile: str, ending: str) -> None:
    proof = proven(recorded("adapted", profile, ending))
    assert proof.holds, proof.line
    assert proof.largest(LAYERS, "float64") < 1e-13


@pytest.mark.keras
def test_recorder_that_forgets_them_is_found(tmp_path: Path) -> None:
    path = written("adapted", "keras3", "h5")
    ask_keras("proof.record", "keras3", path=str(path), out=str(tmp_path / "recording"), forgets=True)
    file = read_keras_file(path)
    port = Port(file, program_of(file.graph, PROFILES["keras3"]))
    parting = [line.name for line in compare(port, Recording(tmp_path / "recording")).lines if not line.holds]
    assert parting[0] == "inner/norm"
