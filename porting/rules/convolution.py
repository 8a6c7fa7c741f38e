"""Conv1D, Conv2D, Conv3D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D.

Source: keras 3.15 layers/convolutional/base_conv.py, base_depthwise_conv.py, base_separable_conv.py; the same
in tf_keras 2.21.
"""

from __future__ import annotations

from typing import Any

from porting.rules.activation import activation_steps
from porting.rules.piece import Carry, Make, Piece, Refused, Site, Step, per_axis, short, single_filters


def convolution(site: Site) -> Piece:
    """Conv1D, Conv2D and Conv3D."""
    axes = _axes(site)
    filters, groups = site.stated("filters"), site.config.get("groups", 1)
    if site.channels() % groups or filters % groups:
        raise Refused(f"groups={groups} divides neither its {site.channels()} channels nor its filters")
    # (..., in, out) to (out, in, ...).
    kernel = Carry("weight", (axes + 1, axes, *range(axes)))
    return _piece(site, f"Conv{axes}d", filters, groups, kernel)


def depthwise_convolution(site: Site) -> Piece:
    """DepthwiseConv1D and DepthwiseConv2D: as many groups as channels."""
    axes, channels = _axes(site), site.channels()
    filters = channels * site.config.get("depth_multiplier", 1)
    # (..., in, multiplier) to (in, multiplier, ...), which torch has as (in * multiplier, 1, ...).
    kernel = Carry("weight", (axes, axes + 1, *range(axes)), single_filters)
    return _piece(site, f"Conv{axes}d", filters, channels, kernel)


def separable_convolution(site: Site) -> Piece:
    """SeparableConv1D and SeparableConv2D."""
    axes = _axes(site)
    padding = site.config.get("padding", "valid")
    if padding not in ("valid", "same"):
        raise Refused(f'padding "{padding}" has no rule')
    arguments: dict[str, Any] = {}
    for name, key in (("stride", "strides"), ("dilation", "dilation_rate")):
        numbers = per_axis(site.config.get(key, 1), axes, key)
        if set(numbers) != {1}:
            arguments[name] = short(numbers)
    if site.config.get("depth_multiplier", 1) != 1:
        arguments["multiplier"] = site.config["depth_multiplier"]
    if padding == "valid":
        arguments["same"] = False
    if not site.config.get("use_bias", True):
        arguments["bias"] = False
    make = Make(
        f"SeparableConv{axes}d",
        {
            "in_channels": site.channels(),
            "out_channels": site.stated("filters"),
            "kernel_size": short(per_axis(site.stated("kernel_size"), axes, "kernel_size")),
        },
        arguments,
    )
    weights = {
        "depthwise_kernel": Carry("depthwise.weight", (axes, axes + 1, *range(axes)), single_filters),
        "pointwise_kernel": Carry("pointwise.weight", (axes + 1, axes, *range(axes))),
        "bias": Carry("pointwise.bias"),
    }
    order = site.image_order()
    steps = (Step(make), *activation_steps(site, order))
    return Piece(steps, orders=(order,), order=order, weights=weights, differences=("D07",))


def _axes(site: Site) -> int:
    axes = site.rank - 2
    if axes != int(site.layer.class_name.rpartition("Conv")[2][0]):
        raise Refused(f"its input has {site.rank} axes")
    return axes


def _piece(site: Site, kind: str, filters: int, groups: int, kernel: Carry) -> Piece:
    axes = site.rank - 2
    window = per_axis(site.stated("kernel_size"), axes, "kernel_size")
    strides = per_axis(site.config.get("strides", 1), axes, "strides")
    dilation = per_axis(site.config.get("dilation_rate", 1), axes, "dilation_rate")
    order = site.image_order()
    positional: dict[str, Any] = {
        "in_channels": site.channels(),
        "out_channels": filters,
        "kernel_size": short(window),
    }
    keywords: dict[str, Any] = {}
    if set(strides) != {1}:
        keywords["stride"] = short(strides)
    before: tuple[Step, ...] = ()
    callee = f"nn.{kind}"
    differences: tuple[str, ...] = ()
    match site.config.get("padding", "valid"):
        case "valid":
            pass
        case "causal" if axes == 1:
            behind = (window[0] - 1) * dilation[0]
            pad = Make("nn.ConstantPad1d", {"padding": (behind, 0), "value": 0.0})
            before = (Step(pad, f"F.pad({{}}, ({behind}, 0))", "_pad"),)
        case "same" if pads_alike(window, strides, dilation):
            reach = tuple((size - 1) * gap // 2 for size, gap in zip(window, dilation, strict=True))
            if any(reach):
                keywords["padding"] = short(reach)
        case "same":
            callee, differences = f"Same{kind}", ("D07",)
        case other:
            raise Refused(f'padding "{other}" has no rule')
    if set(dilation) != {1}:
        keywords["dilation"] = short(dilation)
    if groups != 1:
        keywords["groups"] = groups
    if not site.config.get("use_bias", True):
        keywords["bias"] = False
    steps = (*before, Step(Make(callee, positional, keywords)), *activation_steps(site, order))
    weights = {"kernel": kernel, "bias": Carry("bias")}
    return Piece(steps, orders=(order,), order=order, weights=weights, differences=differences)


def pads_alike(window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]) -> bool:
    """Whether padding "same" is the same on both sides at every input size, so that torch's own will do."""
    return all(
        size == 1 or (stride == 1 and (size - 1) * gap % 2 == 0)
        for size, stride, gap in zip(window, strides, dilation, strict=True)
    )


RULES = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), convolution),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), depthwise_convolution),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), separable_convolution),
}
