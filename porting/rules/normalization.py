"""Normalization by batch, layer, group and length.

Source: keras 3.15 layers/normalization; tf_keras 2.21 layers/normalization.
"""

from __future__ import annotations

from typing import Any

from lightning_impl.keras_semantics.layers import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from lightning_impl.keras_semantics.profile import KERAS3
from porting.keras_file.problems import shown
from porting.rules.piece import (
    Carry,
    Make,
    Order,
    Piece,
    Refused,
    Site,
    Step,
    channels_first_order,
    known,
    only,
)

_AFFINE = {"gamma": Carry("weight"), "beta": Carry("bias")}
_BATCH = {**_AFFINE, "moving_mean": Carry("running_mean"), "moving_variance": Carry("running_var")}


def batch_normalization(site: Site) -> Piece:
    """BatchNormalization over one axis (D03, D09, D10). That it is frozen (D11) is the training's affair."""
    only(site, renorm=False, virtual_batch_size=None, synchronized=False)
    rank = site.rank
    axis = _single_axis(site)
    order = _second(axis, rank)
    channels = known(site.input.shape[axis], f"the size of axis {axis}")
    # A decimal such as 0.01, not 0.010000000000000009.
    momentum = round(1 - site.config.get("momentum", BATCH_NORM_MOMENTUM), 12)
    arguments: dict[str, Any] = {
        "eps": site.config.get("epsilon", BATCH_NORM_EPSILON),
        "momentum": momentum,
    }
    scale, center = site.config.get("scale", True), site.config.get("center", True)
    # The running variance is unbiased in TensorFlow's fused kernel alone, which takes images and videos.
    biased = not (site.profile.fused_batch_norm_is_unbiased and rank in (4, 5) and axis in (1, rank - 1))
    # A single value a channel, which Keras takes of a batch of one, and torch refuses.
    is_single = all(size == 1 for place, size in enumerate(site.input.shape[1:], 1) if place != axis)
    if biased and rank == 4 and scale and center:
        make = Make("KerasBatchNorm2d", {"num_features": channels}, arguments)
    elif biased or is_single or not scale or not center:
        arguments |= {} if scale else {"scale": False}
        arguments |= {} if center else {"center": False}
        arguments |= {} if biased else {"biased": False}
        make = Make("KerasBatchNorm", {"channels": channels}, arguments)
    else:
        make = Make(f"nn.BatchNorm{rank - 2}d", {"num_features": channels}, arguments)
    differences = ("D03", "D09", "D10")
    return Piece((Step(make),), orders=(order,), order=order, weights=_BATCH, differences=differences)


def layer_normalization(site: Site) -> Piece:
    """LayerNormalization over axes, which come last."""
    only(site, rms_scaling=False)
    rank, stated = site.rank, site.config.get("axis", -1)
    axes = stated if isinstance(stated, list) else [stated]
    if not axes or not all(type(axis) is int and axis % rank for axis in axes):
        raise Refused(f"axis={shown(stated)} has no rule")
    axes = sorted(axis % rank for axis in axes)
    order: Order = (*(axis for axis in range(rank) if axis not in axes), *axes)
    shape = tuple(known(site.input.shape[axis], f"the size of axis {axis}") for axis in axes)
    keywords: dict[str, Any] = {"eps": site.config.get("epsilon", 1e-3)}
    scale, center = site.config.get("scale", True), site.config.get("center", True)
    if not scale and center:
        raise Refused("scale=False with center=True has no rule")
    if not scale:
        keywords["elementwise_affine"] = False
    elif not center:
        keywords["bias"] = False
    make = Make("nn.LayerNorm", {"normalized_shape": shape[0] if len(shape) == 1 else shape}, keywords)
    return Piece((Step(make),), orders=(order,), order=order, weights=_AFFINE)


def group_normalization(site: Site) -> Piece:
    """GroupNormalization: groups of channels; -1 of them is each channel apart."""
    axis = _single_axis(site)
    order = _second(axis, site.rank)
    channels = known(site.input.shape[axis], f"the size of axis {axis}")
    groups = site.config.get("groups", 32)
    groups = channels if groups == -1 else groups
    scale, center = site.config.get("scale", True), site.config.get("center", True)
    keywords: dict[str, Any] = {"eps": site.config.get("epsilon", 1e-3)}
    positional = {"num_groups": groups, "num_channels": channels}
    if scale and center:
        steps = [Step(Make("nn.GroupNorm", positional, keywords))]
    else:
        steps = [Step(Make("nn.GroupNorm", positional, {**keywords, "affine": False}), None, "_norm")]
        left = {"scale": False} if center else {"center": False}
        steps += [Step(Make("Affine", {"channels": channels}, left))] if scale or center else []
    return Piece(tuple(steps), orders=(order,), order=order, weights=_AFFINE if scale or center else {})


def unit_normalization(site: Site) -> Piece:
    """UnitNormalization: to length 1, over one axis or several."""
    order, stated = site.input.order, site.config.get("axis", -1)
    axes = stated if isinstance(stated, list) else [stated]
    if not axes or not all(type(axis) is int for axis in axes):
        raise Refused(f"axis={shown(stated)} has no rule")
    places = tuple(sorted(site.input.torch_axis(axis) for axis in axes))
    dim = places[0] if len(places) == 1 else places
    # tf_keras 2.21 divides by the root of max(sum of squares, 1e-12), keras 3.15 by max(length, 1e-12).
    least = {} if site.profile is KERAS3 else {"eps": 1e-6}
    function = f"F.normalize({{}}, dim={dim}{', eps=1e-6' if least else ''})"
    step = Step(Make("UnitNorm", {"dim": dim}, least), function)
    return Piece((step,), orders=(order,), order=order)


def layer_scale(site: Site) -> Piece:
    """LayerScale of keras.applications' ConvNeXt: a factor for each channel."""
    if site.stated("projection_dim") != site.input.shape[-1]:
        raise Refused(f"projection_dim={shown(site.stated('projection_dim'))} is not its input's last size")
    order = channels_first_order(site.rank)
    step = Step(Make("Affine", {"channels": site.input.shape[-1]}, {"center": False}))
    return Piece(
        (step,), orders=(order,), order=order, weights={"gamma": _AFFINE["gamma"]}, shape=site.input.shape
    )


def _single_axis(site: Site) -> int:
    stated = site.config.get("axis", -1)
    # Keras 2 stores a list of one.
    axis = stated[0] if isinstance(stated, list) and len(stated) == 1 else stated
    if type(axis) is not int or not -site.rank <= axis < site.rank or axis % site.rank == 0:
        raise Refused(f"axis={shown(stated)} has no rule")
    return axis % site.rank


def _second(axis: int, rank: int) -> Order:
    """The order in which one of Keras's axes comes second."""
    return (0, axis, *(other for other in range(1, rank) if other != axis))


RULES = {
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "LayerScale": layer_scale,
    "UnitNormalization": unit_normalization,
}
