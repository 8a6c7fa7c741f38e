"""Which layers Keras computes in float32 whatever their dtype, and what they may be off for it in float64."""

from __future__ import annotations

from typing import Any

import pytest

from parity_tests import proof_cases
from parity_tests.proof_cases import recorded
from parity_tests.test_proof import faulty, proven
from porting.graph import Layer
from porting.keras_file.model_config import OPERATION
from porting.proof import residuals
from porting.proof.precision import rounds
from porting.proof.residuals import ROUNDED
from porting.proof.verdict import GRADIENTS, LAYERS


def _object(class_name: str, config: Any) -> dict[str, Any]:
    return {"module": "keras", "class_name": class_name, "config": config}


@pytest.mark.parametrize(
    ("class_name", "config", "is_rounded"),
    [
        ("ReLU", {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0}, False),
        ("ReLU", {"max_value": 6.1}, True),
        ("LeakyReLU", {"alpha": 0.25}, False),
        ("LeakyReLU", {"negative_slope": 0.3}, True),
        ("LeakyReLU", {}, True),
        ("MultiHeadAttention", {"key_dim": 16}, False),
        ("MultiHeadAttention", {"key_dim": 12}, True),
        ("Rescaling", {"scale": 1 / 255}, True),
        ("Rescaling", {"scale": [2.0, 0.5], "offset": -1.0}, False),
        ("Dense", {"activation": "gelu"}, True),
        ("LSTM", {"activation": "tanh", "recurrent_activation": "hard_sigmoid"}, True),
        ("Dense", {"activation": "relu"}, False),
        # Functions on tensors.
        ("TFOpLambda", {"function": "nn.leaky_relu"}, True),
        ("TFOpLambda", {"function": "nn.gelu"}, True),
        ("TFOpLambda", {"function": "nn.relu"}, False),
        (f"{OPERATION}LeakyRelu", {}, True),
        (f"{OPERATION}HardSigmoid", {}, True),
        (f"{OPERATION}Relu", {}, False),
        # Layers, and functions, given as objects.
        ("Conv2D", {"activation": _object("LeakyReLU", {"negative_slope": 0.1})}, True),
        ("Conv2D", {"activation": _object("LeakyReLU", {"negative_slope": 0.25})}, False),
        ("Dense", {"activation": _object("ReLU", {"max_value": 6.1})}, True),
        ("Dense", {"activation": _object("function", "gelu")}, True),
        ("Dense", {"activation": _object("function", "relu")}, False),
        ("Activation", {"activation": _object("LeakyReLU", {"alpha": 0.1})}, True),
        ("GRU", {"recurrent_activation": _object("function", "hard_sigmoid")}, True),
    ],
)
def test_layer_rounds_what_float32_cannot_hold(
    class_name: str, config: dict[str, Any], is_rounded: bool
) -> None:
    assert rounds(Layer("layer", class_name, None, config)) == is_rounded


@pytest.mark.keras
def test_rounded_float64_is_held_to_what_last_bits_do(monkeypatch: pytest.MonkeyPatch) -> None:
    case = recorded("resized", "keras3", "keras")
    monkeypatch.setitem(residuals.FORWARD, ROUNDED, 1e-12)
    proof = proven(case)
    # The gradient of a float32 resize is off by more roundings than one: 1e-6 is its usual bound.
    for rung, name in ((LAYERS, "behind"), (GRADIENTS, "behind/kernel")):
        (line,) = (line for line in proof.of(rung) if line.name == name)
        assert line.holds
        # Not Keras's own float32 error, which ties make large.
        assert 1e-9 < line.figures["float64 random"].allowed < 1e-6
    parted = faulty(case, "behind", proof_cases.transposed_kernel)
    assert parted.first is not None
    assert parted.first.name == "behind"
