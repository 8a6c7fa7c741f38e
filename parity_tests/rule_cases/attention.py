"""MultiHeadAttention and Attention: of one tensor, of two and of three, by place and by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parity_tests.rule_cases.case import Case

_QUERY, _VALUE, _KEY = (5, 6), (7, 4), (7, 3)
# It adds the same to all scores of a query, which the softmax takes away.
_VANISHING = ("layer/key/bias",)
# The root of 4 is exact: Keras 3.15 casts its inverse through float32.
_HEADS = {"num_heads": 2, "key_dim": 4}


def _called(call: Callable[[Any, list[Any]], Any], **arguments: Any) -> Callable[[Any, list[Any]], Any]:
    return lambda keras, inputs: call(
        keras.layers.MultiHeadAttention(**{**_HEADS, **arguments}, name="layer"), inputs
    )


def _own(layer: Any, inputs: list[Any]) -> Any:
    return layer(inputs[0], inputs[0])


def _attention(**arguments: Any) -> Callable[[Any, list[Any]], Any]:
    return lambda keras, inputs: keras.layers.Attention(name="layer")(inputs, **arguments)


_SELF: tuple[dict[str, Any], ...] = (
    {},
    {"use_bias": False},
    {"value_dim": 3},
    {"key_dim": 3},
    {"output_shape": 5},
    {"output_shape": (5,), "value_dim": 2, "use_bias": False},
    {"dropout": 0.3},
)

CASES = [
    *(
        Case(
            "MultiHeadAttention",
            (_QUERY,),
            arguments,
            _called(_own, **arguments),
            says="of itself" + "".join(f"-{name}={value}" for name, value in arguments.items()),
            keras_rounds="the root of key_dim is cast through float32" if "key_dim" in arguments else "",
            vanishing=_VANISHING,
        )
        for arguments in _SELF
    ),
    *(
        Case("MultiHeadAttention", sizes, {}, _called(call), says=says, vanishing=_VANISHING)
        for says, sizes, call in (
            ("causal", (_QUERY,), lambda layer, x: layer(x[0], x[0], use_causal_mask=True)),
            ("causal over more", (_QUERY, _VALUE), lambda layer, x: layer(x[0], x[1], use_causal_mask=True)),
            ("query, value", (_QUERY, _VALUE), lambda layer, x: layer(x[0], x[1])),
            ("query, value, key", (_QUERY, _VALUE, _KEY), lambda layer, x: layer(*x)),
            ("a key of the value's size", (_QUERY, _VALUE, _VALUE), lambda layer, x: layer(*x)),
            ("value by name", (_QUERY, _VALUE), lambda layer, x: layer(x[0], value=x[1])),
            (
                "value and key by name",
                (_QUERY, _VALUE, _KEY),
                lambda layer, x: layer(x[0], value=x[1], key=x[2]),
            ),
            ("the value as key", (_QUERY, _VALUE), lambda layer, x: layer(x[0], value=x[1], key=x[1])),
            ("the query as key", (_QUERY, (5, 4)), lambda layer, x: layer(x[0], value=x[1], key=x[0])),
            ("unknown steps", ((None, 6),), lambda layer, x: layer(x[0], x[0])),
        )
    ),
    Case(
        "MultiHeadAttention",
        (_QUERY, _VALUE, _KEY),
        {},
        _called(lambda layer, x: layer(query=x[0], value=x[1], key=x[2])),
        says="all by name",
        vanishing=_VANISHING,
        generations=("keras3",),
    ),
    Case("Attention", (_QUERY, (7, 6)), {}, _attention()),
    Case("Attention", (_QUERY, (7, 4), (7, 6)), {}, _attention()),
    Case("Attention", (_QUERY, (7, 6)), {}, _attention(use_causal_mask=True), says="causal"),
]
