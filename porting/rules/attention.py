"""MultiHeadAttention and Attention.

Source: keras 3.15 layers/attention/{multi_head_attention,attention}.py; tf_keras 2.21 of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from porting.graph import TensorRef, tensors_in
from porting.keras_file.problems import shown
from porting.rules.piece import Carry, Make, Piece, Refused, Site, Step, keras_order, known, only

# Of both generations' call, in this order.
_ARGUMENTS = ("query", "value", "key")


def heads_joined(kernel: np.ndarray) -> np.ndarray:
    """`(heads, size, in)` as nn.Linear has it: `(heads * size, in)`."""
    heads, size, features = kernel.shape
    return kernel.reshape(heads * size, features)


def heads_joined_behind(kernel: np.ndarray) -> np.ndarray:
    """`(out, heads, size)` as nn.Linear has it: `(out, heads * size)`."""
    features, heads, size = kernel.shape
    return kernel.reshape(features, heads * size)


def flattened(bias: np.ndarray) -> np.ndarray:
    """`(heads, size)` as `(heads * size,)`."""
    return bias.reshape(-1)


_WEIGHTS = {
    **{f"{name}/kernel": Carry(f"{name}.weight", (1, 2, 0), heads_joined) for name in _ARGUMENTS},
    **{f"{name}/bias": Carry(f"{name}.bias", (0, 1), flattened) for name in _ARGUMENTS},
    "attention_output/kernel": Carry("output.weight", (2, 0, 1), heads_joined_behind),
    "attention_output/bias": Carry("output.bias"),
}


def multi_head_attention(site: Site) -> Piece:
    """MultiHeadAttention over the steps of `(N, T, features)`."""
    only(site, sliding_window=None, use_gate=False)
    if site.config.get("attention_axes") not in (None, 1, [1]):
        raise Refused(f"attention_axes={shown(site.config['attention_axes'])} has no rule")
    if any(len(value.shape) != 3 for value in site.inputs):
        raise Refused("its tensors have other than three axes, for which there is no rule")
    places = _places(site)
    taken = {name: site.inputs[places.get(name, places["value"])] for name in _ARGUMENTS}
    sizes = tuple(known(taken[name].shape[-1], f"the last size of its {name}") for name in _ARGUMENTS)
    key_dim = site.stated("key_dim")
    positional = {
        "sizes": sizes,
        "heads": site.stated("num_heads"),
        "key_dim": key_dim,
        "value_dim": site.config.get("value_dim") or key_dim,
        "out_features": _output_size(site, sizes[0]),
    }
    order = keras_order(3)
    return Piece(
        (Step(Make("MultiHeadAttention", positional, _settings(site))),),
        orders=(order,) * len(site.inputs),
        order=order,
        weights=_WEIGHTS,
        shape=(*taken["query"].shape[:2], positional["out_features"]),
        takes=tuple(places[name] for name in _ARGUMENTS if name in places),
    )


def _places(site: Site) -> dict[str, int]:
    """Which of the inputs is the query, the value, and the key where it is another tensor than the value."""
    refs = _tensors(site)
    if not {"query", "value"} <= refs.keys():
        raise Refused("its call has no query or no value")
    # As porting/graph.py lists them: positional ones, then those of keywords by their names.
    positional = len(list(tensors_in(site.call.arguments)))
    names = [*list(refs)[:positional], *sorted(list(refs)[positional:])]
    if refs.get("key") == refs["value"]:
        return {name: place for place, name in enumerate(names) if name != "key"}
    return {name: place for place, name in enumerate(names)}


def _tensors(site: Site) -> dict[str, TensorRef]:
    found: dict[str, TensorRef] = {}
    arguments = zip((*_ARGUMENTS, *("another argument",) * 6), site.call.arguments, strict=False)
    for name, value in (*arguments, *site.call.keywords.items()):
        if isinstance(value, TensorRef) and name in _ARGUMENTS:
            found[name] = value
        elif name not in ("training", "use_causal_mask", *_ARGUMENTS) and value not in (None, False):
            raise Refused(f"{name} in its call has no rule")
    return found


def _settings(site: Site) -> Mapping[str, Any]:
    is_still = site.profile.call_argument_training_holds and site.call.keywords.get("training") is False
    dropout = 0.0 if is_still else site.config.get("dropout") or 0.0
    return {
        **({} if site.config.get("use_bias", True) else {"bias": False}),
        **({"dropout": dropout} if dropout else {}),
        **({"causal": True} if site.call.keywords.get("use_causal_mask") else {}),
    }


def _output_size(site: Site, of_query: int) -> int:
    stated = site.config.get("output_shape")
    sizes = stated if isinstance(stated, list) else [stated or of_query]
    if len(sizes) != 1 or type(sizes[0]) is not int:
        raise Refused(f"output_shape={shown(stated)} has no rule")
    return sizes[0]


def attention(site: Site) -> Piece:
    """Attention by plain products, of [query, value] or [query, value, key]."""
    only(site, use_scale=False, score_mode="dot", dropout=0, causal=False)
    for name in ("mask", "return_attention_scores"):
        if site.call.keywords.get(name):
            raise Refused(f"{name} in its call has no rule")
    if len(site.inputs) not in (2, 3) or any(len(value.shape) != 3 for value in site.inputs):
        raise Refused(f"it takes {len(site.inputs)} tensors that are not two or three of three axes")
    causal = ", is_causal=True" if site.call.keywords.get("use_causal_mask") else ""
    key = "{2}" if len(site.inputs) == 3 else "{1}"
    order = keras_order(3)
    return Piece(
        merge=f"F.scaled_dot_product_attention({{0}}, {key}, {{1}}, scale=1.0{causal})",
        orders=(order,) * len(site.inputs),
        order=order,
        shape=(*site.inputs[0].shape[:2], site.inputs[1].shape[-1]),
    )


RULES = {"Attention": attention, "MultiHeadAttention": multi_head_attention}
