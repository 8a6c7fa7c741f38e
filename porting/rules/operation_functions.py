"""Functions of single values, and of values along axes."""

from __future__ import annotations

from collections.abc import Callable

from lightning_impl.keras_semantics.profile import KERAS3
from porting.rules.activation import function_of
from porting.rules.operation_arguments import Operation
from porting.rules.piece import Piece, Refused

_PLAIN = {
    "negative": "{0}.neg()",
    "square": "{0}.square()",
    "sqrt": "{0}.sqrt()",
    "rsqrt": "{0}.rsqrt()",
    "exp": "{0}.exp()",
    "log": "{0}.log()",
    "abs": "{0}.abs()",
    "absolute": "{0}.abs()",
}
# tf.nn's name: the activation's, and its argument in both generations.
_ACTIVATIONS = {
    **{name: name for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "swish", "softplus", "softsign")},
    **{name: name for name in ("elu", "selu", "gelu", "softmax", "log_softmax", "hard_sigmoid", "hard_silu")},
    "leaky_relu": "leaky_relu_layer",
}


def _plain(expression: str) -> Callable[[Operation], Piece]:
    def rule(operation: Operation) -> Piece:
        value = operation.single()
        return operation.gives(expression, value.order, value.shape)

    return rule


def _activation(name: str) -> Callable[[Operation], Piece]:
    def rule(operation: Operation) -> Piece:
        value = operation.single()
        config = {key: given for key, given in operation.named.items() if given is not None}
        if name == "leaky_relu_layer":
            config = {"alpha": 0.2, **config}
        if name in ("softmax", "log_softmax"):
            config["axis"] = operation.argument(1, "axis", default=-1)
        elif len(operation.positional) > 1:
            raise Refused(f"{name} with arguments without names has no rule")
        expression = function_of(name, config, operation.site, value.order)
        return operation.gives(expression.replace("{}", "{0}"), value.order, value.shape)

    return rule


def _reduced(method: str) -> Callable[[Operation], Piece]:
    def rule(operation: Operation) -> Piece:
        value = operation.single()
        axes = operation.axes(operation.argument(1, "axis"))
        keepdims = bool(operation.argument(2, "keepdims", "keep_dims", default=False))
        places = sorted(value.order.index(axis) for axis in axes)
        dims = str(tuple(places)) if len(places) > 1 else str(places[0])
        expression = f"{{0}}.{method}({dims}{', keepdim=True' if keepdims else ''})"
        if keepdims:
            sizes = [1 if axis in axes else size for axis, size in enumerate(value.shape)]
            return operation.gives(expression, value.order, sizes)
        kept = [axis for axis in range(len(value.shape)) if axis not in axes]
        order = tuple(kept.index(axis) for axis in value.order if axis in kept)
        return operation.gives(expression, order, [value.shape[axis] for axis in kept])

    return rule


def _to_unit_length(operation: Operation) -> Piece:
    value = operation.single()
    (axis, *more) = operation.axes(operation.argument(1, "axis", default=-1))
    is_keras3 = operation.site.profile is KERAS3
    # tf.math.l2_normalize: the root of max(sum of squares, 1e-12); ops.normalize: max(length, 1e-7).
    stated = operation.argument(2 if not is_keras3 else 3, "epsilon")
    least = (
        (1e-7 if stated is None else stated) if is_keras3 else (1e-12 if stated is None else stated) ** 0.5
    )
    if more or operation.named.get("order", 2) != 2:
        raise Refused("it has a rule for one axis and order 2 alone")
    expression = f"F.normalize({{0}}, dim={value.order.index(axis)}, eps={least!r})"
    return operation.gives(expression, value.order, value.shape)


FUNCTIONS: dict[str, Callable[[Operation], Piece]] = {
    **{name: _plain(expression) for name, expression in _PLAIN.items()},
    **{name: _activation(activation) for name, activation in _ACTIVATIONS.items()},
    **{f"reduce_{name}": _reduced(method) for name, method in (("mean", "mean"), ("sum", "sum"))},
    **{name: _reduced(name) for name in ("mean", "sum")},
    # Of equal largest values all take a share of the gradient, as in TensorFlow.
    **{f"reduce_{name}": _reduced(f"a{name}") for name in ("max", "min")},
    **{name: _reduced(f"a{name}") for name in ("max", "min")},
    **dict.fromkeys(("l2_normalize", "normalize"), _to_unit_length),
}
