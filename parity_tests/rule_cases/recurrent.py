"""SimpleRNN, LSTM and GRU: activations, both places of the reset gate, directions, and what is given."""

from __future__ import annotations

from itertools import product
from typing import Any

from parity_tests.rule_cases.case import Case

_FLOAT32 = "its constants are cast through float32 (D14)"
_STEPS = (6, 4)
_CASES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("SimpleRNN", {}, ""),
    ("SimpleRNN", {"activation": "relu"}, ""),
    ("SimpleRNN", {"activation": "softsign"}, ""),
    ("LSTM", {}, ""),
    ("LSTM", {"activation": "softsign"}, ""),
    ("LSTM", {"recurrent_activation": "hard_sigmoid"}, _FLOAT32),
    ("GRU", {}, ""),
    ("GRU", {"reset_after": False}, ""),
    ("GRU", {"activation": "softsign"}, ""),
    ("GRU", {"reset_after": False, "recurrent_activation": "hard_sigmoid"}, _FLOAT32),
)

CASES = [
    Case(
        layer,
        (_STEPS,),
        {
            "units": 5,
            **arguments,
            **({"go_backwards": True, "return_sequences": True} if is_turned else {}),
            **({"use_bias": False} if is_bare else {}),
        },
        keras_rounds=rounds,
    )
    for (layer, arguments, rounds), (is_turned, is_bare) in product(
        _CASES, ((False, False), (True, False), (True, True))
    )
]
CASES += [
    Case(layer, ((None, 4),), {"units": 3, "return_sequences": True})
    for layer in ("SimpleRNN", "LSTM", "GRU")
]
CASES += [
    Case(layer, (_STEPS,), {"units": 3, "go_backwards": True, "unit_forget_bias": False})
    for layer in ("LSTM",)
]
# A dropout of the inputs does nothing in inference: parity_tests/test_recurrent_training.py.
CASES += [Case(layer, (_STEPS,), {"units": 3, "dropout": 0.3}) for layer in ("SimpleRNN", "LSTM", "GRU")]
