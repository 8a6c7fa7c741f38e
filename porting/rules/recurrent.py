"""SimpleRNN, LSTM and GRU.

Source: keras 3.15 layers/rnn/{rnn,simple_rnn,lstm,gru}.py; tf_keras 2.21 of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lightning_impl.keras_semantics.profile import KERAS3
from porting.rules.activation import activation_steps
from porting.rules.piece import Carry, Make, Piece, Refused, Site, Step, keras_order, known, only

_KERNEL = (1, 0)
_INPUT = {"kernel": Carry("weight_ih", _KERNEL), "recurrent_kernel": Carry("weight_hh", _KERNEL)}
_LOOPED = {**_INPUT, "bias": Carry("bias")}
# Of nn.LSTM and nn.RNN, which have the names of many layers' weights.
_FUSED = {
    "kernel": Carry("rnn.weight_ih_l0", _KERNEL),
    "recurrent_kernel": Carry("rnn.weight_hh_l0", _KERNEL),
    "bias": Carry("rnn.bias_ih_l0"),
}


def reset_gate_first(stacked: np.ndarray) -> np.ndarray:
    """Keras's update, reset, candidate along the first axis as torch's reset, update, candidate."""
    units = len(stacked) // 3
    return np.concatenate([stacked[units : 2 * units], stacked[:units], stacked[2 * units :]])


def reset_gate_first_in_rows(biases: np.ndarray) -> np.ndarray:
    """The same of one bias or of rows of them, `(1 or 2, 3 * units)`."""
    return reset_gate_first(np.atleast_2d(biases).T).T


def simple_rnn(site: Site) -> Piece:
    """SimpleRNN."""
    sizes, settings = _arguments(site)
    activation = _activation(site, "activation")
    if activation.callee in ("nn.Tanh", "nn.ReLU"):
        relu = {"activation": "relu"} if activation.callee == "nn.ReLU" else {}
        return _piece(site, Make("KerasRNN", sizes, {**relu, **settings}), _FUSED)
    return _piece(site, Make("LoopedRNN", {**sizes, "activation": activation}, settings), _LOOPED)


def lstm(site: Site) -> Piece:
    """LSTM. Both have the gates in the same order: input, forget, candidate, output."""
    sizes, settings = _arguments(site)
    activations = _gate_activations(site)
    if _are_torch(activations):
        return _piece(site, Make("KerasLSTM", sizes, settings), _FUSED)
    return _piece(site, Make("LoopedLSTM", {**sizes, **activations}, settings), _LOOPED)


def gru(site: Site) -> Piece:
    """GRU, with both places of the reset gate. A file of a Keras that knows one has the older, before."""
    sizes, settings = _arguments(site)
    activations, reset_after = _gate_activations(site), bool(site.config.get("reset_after", False))
    # The shape of a GRU's bias tells the places apart.
    axes = (0, 1) if reset_after else (0,)
    weights = {
        **{name: Carry(place.attribute, place.axes, reset_gate_first) for name, place in _INPUT.items()},
        "bias": Carry("bias", axes, reset_gate_first_in_rows),
    }
    if reset_after and _are_torch(activations):
        return _piece(site, Make("KerasGRU", sizes, settings), weights)
    positional = {**sizes, **activations, "reset_after": reset_after}
    return _piece(site, Make("LoopedGRU", positional, settings), weights)


def _arguments(site: Site) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sizes, and what is not as usual."""
    only(site, return_state=False, stateful=False, time_major=False, recurrent_dropout=0)
    if site.rank != 3:
        raise Refused(f"it takes a tensor of {site.rank} axes where three are expected")
    sizes = {
        "features": known(site.input.shape[-1], "the size of its last axis"),
        "units": site.stated("units"),
    }
    settings = {
        **({} if site.config.get("use_bias", True) else {"bias": False}),
        **({"sequences": True} if site.config.get("return_sequences") else {}),
        **({"backwards": True} if site.config.get("go_backwards") else {}),
    }
    return sizes, settings


def _activation(site: Site, key: str) -> Make:
    site.stated(key)
    steps = activation_steps(site, keras_order(2), key)
    return steps[0].make if steps else Make("nn.Identity")


def _gate_activations(site: Site) -> dict[str, Make]:
    return {key: _activation(site, key) for key in ("activation", "recurrent_activation")}


def _are_torch(activations: Mapping[str, Make]) -> bool:
    return [make.callee for make in activations.values()] == ["nn.Tanh", "nn.Sigmoid"]


def _piece(site: Site, make: Make, weights: Mapping[str, Carry]) -> Piece:
    order = keras_order(3)
    inside = [value.callee for value in make.positional.values() if isinstance(value, Make)]
    return Piece(
        (*_input_dropout(site, make), Step(make)),
        orders=(order,),
        order=order if site.config.get("return_sequences") else keras_order(2),
        weights=weights,
        differences=("D14",) if "HardSigmoid" in inside else (),
        loops_over=1,
    )


def _input_dropout(site: Site, make: Make) -> tuple[Step, ...]:
    """The dropout of the inputs: the same features of all steps, but in tf_keras's kernels each by itself.

    tf_keras 2.21 layers/rnn/lstm.py and gru.py draw the mask of all steps at once where the layer could run
    in cuDNN (`_could_use_gpu_kernel`). `implementation=1` has one mask a gate.
    """
    rate = site.config.get("dropout") or 0.0
    if not rate or (
        site.profile.call_argument_training_holds and site.call.keywords.get("training") is False
    ):
        return ()
    is_gated = site.layer.class_name != "SimpleRNN"
    is_kernel = make.callee in ("KerasLSTM", "KerasGRU")
    is_kernel = is_kernel and site.config.get("use_bias", True) and not site.config.get("unroll")
    if is_gated and site.profile is not KERAS3 and is_kernel:
        return (Step(Make("nn.Dropout", {"p": rate}), None, "_dropout"),)
    if is_gated and site.config.get("implementation", 2) != 2:
        raise Refused(f"dropout={rate!r} with implementation=1 has no rule")
    return (Step(Make("NoiseShapeDropout", {"p": rate, "shape": (None, 1, None)}), None, "_dropout"),)


RULES = {"GRU": gru, "LSTM": lstm, "SimpleRNN": simple_rnn}
