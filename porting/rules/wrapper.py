"""Layers around layers: TimeDistributed and Bidirectional.

Source: keras 3.15 layers/rnn/{time_distributed,bidirectional}.py; tf_keras 2.21 of the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lightning_impl.keras_semantics.profile import KERAS3
from porting.graph import Layer
from porting.keras_file.problems import shown
from porting.rules import recurrent
from porting.rules.dense import dense
from porting.rules.piece import Carry, Make, Order, Piece, Refused, Site, Step, Value

Rules = Mapping[str, Callable[[Site], Piece]]

MERGES = ("concat", "sum", "mul", "ave")


def rules_with(others: Rules) -> Rules:
    """The wrappers' rules.

    Args:
        others: Of the layers that may be inside, those of wrappers among them.
    """
    return {"TimeDistributed": lambda site: time_distributed(site, others), "Bidirectional": bidirectional}


def time_distributed(site: Site, others: Rules) -> Piece:
    """TimeDistributed: every step of each example is an example of the layer inside."""
    wrapped = _wrapped(site, others)
    # A product over the last axis, whatever the number of axes.
    if wrapped.class_name == "Dense":
        plain = replace(dense(replace(site, layer=wrapped)), notes=_notes(wrapped))
        return _renamed(plain, "layer/", "")
    _check_same_in_training(site, wrapped)
    value = site.input
    inside = Value((None, *value.shape[2:]), tuple(axis - (axis > 1) for axis in value.order if axis != 1))
    piece = _of_inside(replace(site, layer=wrapped, inputs=(inside,)), others)
    if piece.merge is not None or any(order[0] != 0 for order in (*piece.orders, piece.order)):
        raise Refused(f"the {wrapped.class_name} inside has no rule here")
    if not piece.steps:
        steps: tuple[Step, ...] = ()
    else:
        steps = (Step(Make("TimeDistributed", {"layer": _module(piece)})),)
    outer = replace(
        piece,
        steps=steps,
        orders=tuple(_with_time(order) for order in piece.orders),
        order=_with_time(piece.order),
        notes=(*piece.notes, *_notes(wrapped)),
        loops_over=None if piece.loops_over is None else piece.loops_over + 1,
        shape=None if piece.shape is None else (None, value.shape[1], *piece.shape[1:]),
    )
    return _renamed(outer, "layer/", f"layer.{_place(piece)}")


def _check_same_in_training(site: Site, wrapped: Layer) -> None:
    """Keras 3 calls the layer step by step, so that statistics move once a step."""
    kind = wrapped.class_name
    if kind == "BatchNormalization" and site.profile is KERAS3 and wrapped.trainable:
        raise Refused("in Keras 3 the BatchNormalization inside is trained step by step, and has no rule")
    varies = ("BatchNormalization", "Dropout", "Noise", "Random")
    is_still = site.profile.call_argument_training_holds and site.call.keywords.get("training") is False
    if is_still and any(part in kind for part in varies):
        raise Refused(f"training=False in its call has no rule with a {kind} inside")


def bidirectional(site: Site) -> Piece:
    """Bidirectional: two recurrent layers of the same config but for the direction."""
    wrapped = _wrapped(site, recurrent.RULES)
    merge = site.config.get("merge_mode", "concat")
    if merge not in MERGES:
        raise Refused(f"merge_mode={shown(merge)} has no rule")
    pair = (wrapped, _backward(site, wrapped))
    first, second = (_of_inside(replace(site, layer=layer), recurrent.RULES) for layer in pair)
    ways = [bool(layer.config.get("go_backwards")) for layer in pair]
    if first.order != second.order or ways[0] == ways[1]:
        raise Refused("its two layers differ in return_sequences, or have the same direction")
    sequences = len(first.order) == 3
    keywords = {
        **({} if merge == "concat" else {"merge": merge}),
        **({"sequences": True} if sequences else {}),
    }
    make = Make("Bidirectional", {"onwards": _module(first), "backwards": _module(second)}, keywords)
    weights = {
        **_renamed(first, "forward_layer/", f"onwards.{_place(first)}").weights,
        **_renamed(second, "backward_layer/", f"backwards.{_place(second)}").weights,
    }
    differences = tuple(sorted({*first.differences, *second.differences}))
    return Piece(
        (Step(make),),
        orders=first.orders,
        order=first.order,
        weights=weights,
        differences=differences,
        notes=_notes(wrapped),
        loops_over=1,
    )


def _backward(site: Site, wrapped: Layer) -> Layer:
    """The second layer: the file's own, which Keras 3 always writes, or the first one turned."""
    stated = site.config.get("backward_layer")
    if stated is None:
        turned = not wrapped.config.get("go_backwards", False)
        return replace(wrapped, config={**wrapped.config, "go_backwards": turned})
    if not isinstance(stated, dict) or not isinstance(stated.get("config"), dict):
        raise Refused("its backward_layer is no layer")
    if stated.get("class_name") != wrapped.class_name:
        raise Refused(f"its backward_layer is no {wrapped.class_name}")
    return replace(wrapped, config=stated["config"])


def _wrapped(site: Site, others: Rules) -> Layer:
    wrapped = site.layer.wrapped
    if wrapped is None:
        raise Refused("its config holds no layer")
    if wrapped.graph is not None:
        raise Refused("it holds a whole model, for which there is no rule")
    if wrapped.package is not None or wrapped.class_name not in others:
        raise Refused(f"it holds a {shown(wrapped.class_name)}, for which there is no rule")
    return wrapped


def _of_inside(site: Site, others: Rules) -> Piece:
    try:
        return others[site.layer.class_name](site)
    except Refused as refusal:
        raise Refused(f"of the {site.layer.class_name} inside {refusal}") from refusal


def _notes(wrapped: Layer) -> tuple[str, ...]:
    """What the training takes up of a layer's config, it does not of one inside."""
    kinds = ("_regularizer", "_constraint")
    stated = [key for key, value in wrapped.config.items() if key.endswith(kinds) and value is not None]
    return tuple(f"holds a {wrapped.class_name} whose {key} is not carried over" for key in stated)


def _module(piece: Piece) -> Make:
    """All steps as one module."""
    if len(piece.steps) == 1:
        return piece.steps[0].make
    return Make("nn.Sequential", {f"step{place}": step.make for place, step in enumerate(piece.steps)})


def _place(piece: Piece) -> str:
    """Where the weights are in it: "" or "1."."""
    if len(piece.steps) < 2:
        return ""
    return f"{next(place for place, step in enumerate(piece.steps) if not step.suffix)}."


def _renamed(piece: Piece, name_prefix: str, attribute_prefix: str) -> Piece:
    """The weights' names as the file has them, and their places in the module around."""
    weights = {
        f"{name_prefix}{name}": (
            Carry(f"{attribute_prefix}{place.attribute}", place.axes, place.then)
            if place.attribute
            else place
        )
        for name, place in piece.weights.items()
    }
    return replace(piece, weights=weights)


def _with_time(order: Order) -> Order:
    return (0, 1, *(axis + 1 for axis in order[1:]))
