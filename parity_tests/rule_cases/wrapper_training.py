"""TimeDistributed around BatchNormalization, whose statistics move in training. Keras 3 is refused."""

from __future__ import annotations

from typing import Any

from parity_tests.rule_cases.case import Case


def _each_step(keras: Any, inputs: list[Any]) -> Any:
    inner = keras.layers.BatchNormalization(momentum=0.9)
    return keras.layers.TimeDistributed(inner, name="layer")(inputs[0])


CASES = [
    Case("TimeDistributed", (shape,), {}, _each_step, "BatchNormalization", ("tf2.4",), formats=("keras",))
    for shape in ((3, 5, 4, 2), (6, 4))
]
