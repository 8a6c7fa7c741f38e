"""A small draw of Keras's round-off is no fault of the port, and a port that is less exact stays one."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from parity_tests.keras_oracle import ask_keras
from parity_tests.proof_cases import (
    Recorded,
    float32_of_bits,
    recorded,
    transposed_kernel,
    with_fault,
    with_small_draw,
)
from porting.proof import Proof
from porting.proof.compare import told
from porting.proof.own_error import OwnErrors
from porting.proof.prove import verdict
from porting.proof.residuals import FORWARD, OWN_ERRORS, TELLING, Figure
from porting.proof.verdict import LAYERS, Line

pytestmark = pytest.mark.xdist_group("proof")

RUNS = ("float32 random", "float32 extreme")
# In the layer that hangs on the last bits, and as the model's output.
OUTPUTS_OF_DIFFERENCE = ("difference:0", ":0")


@pytest.fixture(scope="module", params=[("tf2.4", "h5"), ("keras3", "keras")], ids=lambda each: each[0])
def measured(request: pytest.FixtureRequest) -> Recorded:
    """As Keras gave it: its float32 is off from its float64 by 2e-3 in the difference."""
    return recorded("cancelling", *request.param)


@pytest.fixture(scope="module")
def lucky(measured: Recorded) -> Recorded:
    """The same, but for a draw of its round-off that says nothing of the next."""
    return replace(measured, recording=with_small_draw(measured.recording, *OUTPUTS_OF_DIFFERENCE))


def proven(case: Recorded) -> Proof:
    return verdict(case.port, case.recording, [])


def difference(proof: Proof) -> dict[str, Figure]:
    (line,) = (line for line in proof.of(LAYERS) if line.name == "difference")
    return line.figures


@pytest.mark.keras
def test_small_draw_is_held_to_what_other_draws_are(measured: Recorded, lucky: Recorded) -> None:
    as_measured, as_drawn = proven(measured), proven(lucky)
    assert as_measured.holds, as_measured.line
    assert not any("other draws" in note for note in as_measured.notes)
    assert as_drawn.holds, as_drawn.line
    assert any('"difference" is the first' in note and "other draws" in note for note in as_drawn.notes)
    for run in RUNS:
        # By the port's float64 and Keras's other layers alone, about what Keras's real draw allows.
        share = difference(as_drawn)[run].allowed / difference(as_measured)[run].allowed
        assert 1 / 3 < share < 3
        assert difference(as_drawn)[run].allowed > 10 * FORWARD["float32"]


@pytest.mark.keras
@pytest.mark.parametrize("bits", [11, 16, 18])
def test_fewer_bits_in_float32_alone_are_a_fault(lucky: Recorded, bits: int) -> None:
    """TF32's 11 bits of 24, and the least that round-off itself does not hide."""
    faulty = replace(lucky, program=with_fault(lucky.program, "difference", float32_of_bits(bits)))
    proof = proven(faulty)
    assert proof.first is not None
    assert (proof.first.rung, proof.first.name) == (LAYERS, "difference")
    assert [run for run, figure in proof.first.figures.items() if not figure.holds] == list(RUNS)
    # The fault allows itself nothing: the bound is the right port's.
    right = difference(proven(lucky))
    for run in RUNS:
        assert proof.first.figures[run].allowed == pytest.approx(right[run].allowed)


@pytest.mark.keras
def test_port_that_parts_in_float64_is_allowed_no_more(lucky: Recorded) -> None:
    proof = proven(replace(lucky, program=with_fault(lucky.program, "left", transposed_kernel)))
    own = OwnErrors(lucky.recording)
    assert proof.first is not None
    assert proof.first.name == "left"
    for run in RUNS:
        batch = run.partition(" ")[2]
        error = own.measured(batch, "difference:0")
        assert error is not None
        assert difference(proof)[run].allowed == max(FORWARD["float32"], OWN_ERRORS["forward"] * error)


@pytest.mark.keras
def test_without_float64_nothing_more_is_allowed(lucky: Recorded) -> None:
    recording = copy.copy(lucky.recording)
    recording.dtypes = ["float32"]
    proof = proven(replace(lucky, recording=recording))
    assert {figure.allowed for figure in difference(proof).values()} == {FORWARD["float32"]}
    assert not proof.holds


def test_line_that_round_off_decides_proves_nothing() -> None:
    wide, narrow, over = Figure(0.3, 0.5), Figure(1e-8, TELLING), Figure(0.6, 0.5)
    line = Line(LAYERS, "gate", "Dense", figures={"float32 random": wide, "float32 extreme": wide})
    assert line.holds
    assert not told(line).holds
    assert "hangs on round-off" in told(line).fault
    for figures in ({"float32 random": wide, "float64 random": narrow}, {"float32 random": over}, {}):
        other = replace(line, figures=figures)
        assert told(other) == other


@pytest.mark.keras
@pytest.mark.parametrize("profile", ["tf2.4", "keras3"])
def test_classes_of_keras_applications_are_not_strange(profile: str) -> None:
    def strange(name: str) -> list[str]:
        layer = {"class_name": name, "config": {"name": "scale"}}
        model = {"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
        return ask_keras("proof.strange", profile, config=json.dumps(model))["found"].tolist()

    assert strange("LayerScale") == strange("StochasticDepth") == []
    assert strange("LayerShift") == ['"scale" (LayerShift)']
