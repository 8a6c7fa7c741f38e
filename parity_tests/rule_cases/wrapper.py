"""TimeDistributed and Bidirectional, around what they are used for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from parity_tests.rule_cases.case import Case

_FLOAT32 = "its constants are cast through float32 (D14)"
_STEPS, _FRAMES = (6, 4), (3, 5, 4, 2)


def _around(wrapper: str, inner: str, more: dict[str, Any], **arguments: Any) -> Callable[..., Any]:
    def build(keras: Any, inputs: list[Any]) -> Any:
        layer = getattr(keras.layers, inner)(**arguments)
        return getattr(keras.layers, wrapper)(layer, **more, name="layer")(inputs[0])

    return build


def _said(arguments: dict[str, Any]) -> str:
    return "".join(f"-{name}={value}" for name, value in arguments.items())


def _timed(
    inner: str, shape: tuple[int | None, ...], generations: tuple[str, ...] = ("tf2.4", "keras3"), **more: Any
) -> Case:
    build = _around("TimeDistributed", inner, {}, **more)
    return Case("TimeDistributed", (shape,), {}, build, f"{inner}{_said(more)}", generations)


def _both_ways(inner: str, merge: str = "concat", rounds: str = "", **more: Any) -> Case:
    build = _around("Bidirectional", inner, {"merge_mode": merge}, units=3, **more)
    says = f"{inner}-{merge}{_said(more)}"
    return Case("Bidirectional", (_STEPS,), {"merge_mode": merge}, build, says, keras_rounds=rounds)


def _own_backward(keras: Any, inputs: list[Any]) -> Any:
    first = keras.layers.GRU(3, return_sequences=True)
    second = keras.layers.GRU(3, return_sequences=True, go_backwards=True, activation="softsign")
    return keras.layers.Bidirectional(first, backward_layer=second, name="layer")(inputs[0])


def _nested(keras: Any, inputs: list[Any]) -> Any:
    inner = keras.layers.Bidirectional(keras.layers.LSTM(3))
    return keras.layers.TimeDistributed(inner, name="layer")(inputs[0])


CASES = [
    _timed("Dense", _STEPS, units=3),
    _timed("Dense", (None, 4), units=3, activation="softmax"),
    _timed("Conv2D", _FRAMES, filters=3, kernel_size=3, strides=2, padding="same", activation="relu"),
    _timed("Conv2D", _FRAMES, filters=3, kernel_size=2, use_bias=False),
    _timed("MaxPooling2D", _FRAMES),
    _timed("Flatten", _FRAMES),
    _timed("GlobalAveragePooling2D", _FRAMES),
    _timed("Dropout", _STEPS, rate=0.3),
    _timed("LSTM", (3, *_STEPS), units=3),
    _timed("LayerNormalization", _STEPS),
    _timed("BatchNormalization", _FRAMES, ("tf2.4",)),
    _timed("Reshape", _FRAMES, target_shape=(4, 10)),
    Case("TimeDistributed", ((3, *_STEPS),), {}, _nested, "Bidirectional LSTM"),
    *(
        _both_ways("LSTM", merge, return_sequences=sequences)
        for merge in ("concat", "sum", "mul", "ave")
        for sequences in (False, True)
    ),
    _both_ways("GRU"),
    _both_ways("GRU", return_sequences=True, dropout=0.3),
    _both_ways("GRU", reset_after=False, return_sequences=True),
    _both_ways("SimpleRNN", "sum", return_sequences=True),
    _both_ways("LSTM", rounds=_FLOAT32, recurrent_activation="hard_sigmoid", use_bias=False),
    # Keras 3.15 refuses to build it.
    replace(_both_ways("SimpleRNN", "sum", return_sequences=True, go_backwards=True), generations=("tf2.4",)),
    Case("Bidirectional", (_STEPS,), {"backward_layer": "own"}, _own_backward, "its own backward layer"),
]
