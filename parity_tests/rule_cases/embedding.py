"""Embedding: of one and two axes, of whole numbers that come as floats."""

from __future__ import annotations

from parity_tests.rule_cases.case import Case

CASES = [
    Case("Embedding", (shape,), {"input_dim": 7, "output_dim": 4}, values="labels")
    for shape in ((6,), (3, 5), (None,))
]
