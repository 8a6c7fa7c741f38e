"""Activations: as layers, and as the `activation` argument of other layers.

Sources: keras 3.15 activations/activations.py and layers/activations; tf_keras 2.21 activations.py and
layers/activation. Where the generations differ (D14), the profile decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from porting.keras_file.problems import shown
from porting.rules.piece import Carry, Make, Order, Piece, Refused, Site, Step, known

_Made = tuple[Make, str | None]
"""A module, and the function it is; None where only the module reads well."""

_PLAIN: dict[str, tuple[str, str]] = {
    "relu": ("nn.ReLU", "F.relu({})"),
    "relu6": ("nn.ReLU6", "F.relu6({})"),
    "sigmoid": ("nn.Sigmoid", "torch.sigmoid({})"),
    "tanh": ("nn.Tanh", "torch.tanh({})"),
    "elu": ("nn.ELU", "F.elu({})"),
    "selu": ("nn.SELU", "F.selu({})"),
    "celu": ("nn.CELU", "F.celu({})"),
    "softplus": ("nn.Softplus", "F.softplus({})"),
    "softsign": ("nn.Softsign", "F.softsign({})"),
    "swish": ("nn.SiLU", "F.silu({})"),
    "silu": ("nn.SiLU", "F.silu({})"),
    "gelu": ("nn.GELU", "F.gelu({})"),
    "mish": ("nn.Mish", "F.mish({})"),
    "hard_silu": ("nn.Hardswish", "F.hardswish({})"),
    "hard_swish": ("nn.Hardswish", "F.hardswish({})"),
    "hard_tanh": ("nn.Hardtanh", "F.hardtanh({})"),
    "hard_shrink": ("nn.Hardshrink", "F.hardshrink({})"),
    "soft_shrink": ("nn.Softshrink", "F.softshrink({})"),
    "tanh_shrink": ("nn.Tanhshrink", "F.tanhshrink({})"),
    "log_sigmoid": ("nn.LogSigmoid", "F.logsigmoid({})"),
    "exponential": ("Exponential", "torch.exp({})"),
}
# What Keras 3 writes of TensorFlow's own functions: their names in TensorFlow's source.
_TENSORFLOW = {
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "exp": "exponential",
    "identity": "linear",
}
_HARD_SIGMOID: _Made = (Make("nn.Hardsigmoid"), "F.hardsigmoid({})")
_FIFTH_HARD_SIGMOID: _Made = (Make("HardSigmoid"), "torch.clamp(0.2 * {} + 0.5, 0.0, 1.0)")
# Of the same name as torch's, and with another default or definition.
_D14 = ("HardSigmoid", "nn.LeakyReLU")

# As layers, and as layers given for an activation.
_LAYERS = {"ReLU": "relu", "Softmax": "softmax", "LeakyReLU": "leaky_relu_layer", "ELU": "elu"}


def activation_steps(site: Site, order: Order, key: str = "activation", suffix: str = "") -> tuple[Step, ...]:
    """The steps of a layer's activation argument; none for linear.

    Args:
        site: The layer.
        order: Of the tensor it acts on.
        key: The argument.
        suffix: Of the step; "": an underscore and the activation's name.

    Raises:
        Refused: An activation without a rule.
    """
    name, config = _name_of(site.config.get(key))
    if name == "linear":
        return ()
    made = _made(name, config, site, order)
    return (_step(made, suffix or f"_{name.removesuffix('_layer')}"),)


def function_of(name: str, config: Mapping[str, Any], site: Site, order: Order) -> str:
    """An activation as an expression of "{}".

    Args:
        name: The activation's.
        config: Its arguments.
        site: Where it is called.
        order: Of the tensor.

    Raises:
        Refused: It has no rule, or is no expression.
    """
    _, function = _made(name, config, site, order)
    if function is None:
        raise Refused(f"{name} with {shown(dict(config))} has no rule")
    return function


def activation_layer(site: Site) -> Piece:
    """Activation: the function of that name."""
    name, config = _name_of(site.config.get("activation"))
    if name == "linear":
        return _single(site, None)
    return _single(site, lambda order: _made(name, config, site, order))


def _by_own_name(site: Site) -> Piece:
    """ReLU, LeakyReLU, ELU and Softmax: the layer's config holds the function's arguments."""
    name = _LAYERS[site.layer.class_name]
    return _single(site, lambda order: _made(name, site.config, site, order))


def thresholded_relu(site: Site) -> Piece:
    """ThresholdedReLU of tf_keras: what does not lie above theta becomes 0."""
    theta = site.config.get("theta", 1.0)
    make = Make("nn.Threshold", {"threshold": theta, "value": 0.0})
    return _single(site, lambda order: (make, f"F.threshold({{}}, {theta!r}, 0.0)"))


def prelu(site: Site) -> Piece:
    """PReLU: nn.PReLU where the slopes are the channels' own or one for all."""
    shared = site.config.get("shared_axes") or []
    axes = set(shared if isinstance(shared, list) else [shared])
    order = site.input.order
    sizes = {axis: 1 if axis in axes else _size(site, axis) for axis in range(1, site.rank)}
    shape = tuple(sizes[axis] for axis in order[1:])
    # The file's alpha lacks the batch axis.
    turned = Carry("weight", tuple(axis - 1 for axis in order[1:]))
    make = Make("KerasPReLU", {f"size{place}": size for place, size in enumerate(shape)})
    if set(shape[1:]) <= {1} and len(shape) > 1:
        turned = Carry("weight", turned.axes, lambda alpha: alpha.reshape(-1))
        make = Make("nn.PReLU", {}, {"num_parameters": shape[0]} if shape[0] != 1 else {})
    elif len(shape) == 1:
        make = Make("nn.PReLU", {}, {"num_parameters": shape[0]} if shape[0] != 1 else {})
    return Piece((Step(make),), orders=(order,), order=order, weights={"alpha": turned})


def _size(site: Site, axis: int) -> int:
    return known(site.input.shape[axis], f"the size of axis {axis}")


def _single(site: Site, made: Callable[[Order], _Made] | None) -> Piece:
    order = site.input.order
    steps = () if made is None else (_step(made(order), ""),)
    differences = ("D14",) if any(step.make.callee in _D14 for step in steps) else ()
    return Piece(steps, orders=(order,), order=order, differences=differences)


def _step(made: _Made, suffix: str) -> Step:
    make, function = made
    return Step(make, function, suffix)


def _name_of(activation: Any) -> tuple[str, Mapping[str, Any]]:
    """The name of an activation, and the config of one that is an object."""
    if activation is None:
        return "linear", {}
    if isinstance(activation, str):
        return _TENSORFLOW.get(activation, activation), {}
    if isinstance(activation, dict):
        name, config = activation.get("class_name"), activation.get("config")
        # Keras 3 writes a function as {"class_name": "function", "config": its name}.
        if name == "function" and isinstance(config, str):
            return _TENSORFLOW.get(config, config), {}
        if isinstance(name, str):
            return _LAYERS.get(name, name), config if isinstance(config, dict) else {}
    raise Refused(f"its activation {shown(activation)} is no function of Keras's")


def _made(name: str, config: Mapping[str, Any], site: Site, order: Order) -> _Made:
    match name:
        case "softmax":
            return _softmax(order, config.get("axis", -1))
        case "log_softmax":
            place = order.index(config.get("axis", -1) % len(order))
            return Make("nn.LogSoftmax", {}, {"dim": place}), f"F.log_softmax({{}}, dim={place})"
        case "relu":
            return _relu(config)
        case "leaky_relu":
            return _leaky_relu(0.2)
        case "leaky_relu_layer":
            # Up to Keras 2 the argument is alpha; the layer's default is 0.3 in both.
            return _leaky_relu(_number(config.get("negative_slope", config.get("alpha", 0.3)), "its slope"))
        case "elu" if (alpha := _number(config.get("alpha", 1.0), "alpha")) != 1:
            return Make("nn.ELU", {}, {"alpha": alpha}), f"F.elu({{}}, alpha={alpha!r})"
        case "gelu" if config.get("approximate"):
            return Make("nn.GELU", {}, {"approximate": "tanh"}), 'F.gelu({}, approximate="tanh")'
        case "hard_sigmoid":
            is_fifth = site.profile.hard_sigmoid_slope_is_a_fifth
            return _FIFTH_HARD_SIGMOID if is_fifth else _HARD_SIGMOID
    if name in _PLAIN:
        return _plain(name)
    raise Refused(f'its activation "{shown(name)}" has no rule')


def _plain(name: str) -> _Made:
    callee, function = _PLAIN[name]
    return Make(callee), function


def _leaky_relu(slope: float) -> _Made:
    return Make(
        "nn.LeakyReLU", {}, {"negative_slope": slope}
    ), f"F.leaky_relu({{}}, negative_slope={slope!r})"


def _number(value: Any, what: str) -> float:
    # tf_keras 2 stored an array of one number as {"class_name": "__numpy__" or "type": "ndarray", "value"}.
    if isinstance(value, dict) and isinstance(value.get("value"), int | float):
        value = value["value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"{what} {shown(value)} is no number")
    return float(value)


def _softmax(order: Order, axis: Any) -> _Made:
    axes = axis if isinstance(axis, list) else [axis]
    if not axes or not all(type(each) is int for each in axes):
        raise Refused(f"softmax over the axes {shown(axis)} has no rule")
    places = sorted(order.index(each % len(order)) for each in axes)
    if len(places) == 1:
        return Make("nn.Softmax", {}, {"dim": places[0]}), f"F.softmax({{}}, dim={places[0]})"
    return Make("SoftmaxOver", {f"axis{place}": axis for place, axis in enumerate(places)}), None


def _relu(config: Mapping[str, Any]) -> _Made:
    slope, threshold = (_number(config.get(key) or 0.0, key) for key in ("negative_slope", "threshold"))
    stated = config.get("max_value")
    ceiling = None if stated is None else _number(stated, "max_value")
    if threshold == 0 and ceiling is None:
        return _leaky_relu(slope) if slope else _plain("relu")
    if threshold == 0 and slope == 0:
        capped = Make("nn.Hardtanh", {"min_val": 0.0, "max_val": ceiling})
        return _plain("relu6") if ceiling == 6 else (capped, f"{{}}.clamp(0.0, {ceiling!r})")
    arguments = {"slope": slope, "ceiling": ceiling, "threshold": threshold}
    return Make("CappedReLU", {}, {name: value for name, value in arguments.items() if value}), None


RULES = {
    "Activation": activation_layer,
    **dict.fromkeys(_LAYERS, _by_own_name),
    "PReLU": prelu,
    "ThresholdedReLU": thresholded_relu,
}
