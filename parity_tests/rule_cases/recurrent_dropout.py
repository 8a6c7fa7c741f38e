"""Recurrent layers with a dropout of their inputs: what it draws. In inference they are in recurrent.py."""

from __future__ import annotations

from parity_tests.rule_cases.case import Case

CASES = [
    Case("SimpleRNN", ((6, 8),), {"units": 5, "dropout": 0.4, "return_sequences": True}, formats=("keras",)),
    *(
        Case(layer, ((6, 8),), {"units": 5, "dropout": 0.4, "return_sequences": True, **more})
        for layer in ("LSTM", "GRU")
        for more in ({}, {"activation": "softsign"})
    ),
]
