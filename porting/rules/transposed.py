"""Conv1DTranspose, Conv2DTranspose and Conv3DTranspose.

Source: keras 3.15 layers/convolutional/base_conv_transpose.py and backend/common/backend_utils.py; tf_keras
2.21 layers/convolutional/conv2d_transpose.py and utils/conv_utils.py, `deconv_output_length`.
"""

from __future__ import annotations

from typing import Any

from porting.rules.activation import activation_steps
from porting.rules.padding import crop_step
from porting.rules.piece import Carry, Make, Piece, Refused, Site, Step, per_axis, short


def transposed_convolution(site: Site) -> Piece:
    """A transposed convolution (D07): what it gives too much at the end is cut off."""
    axes = site.rank - 2
    order = site.image_order()
    window = per_axis(site.stated("kernel_size"), axes, "kernel_size")
    strides = per_axis(site.config.get("strides", 1), axes, "strides")
    dilation = per_axis(site.config.get("dilation_rate", 1), axes, "dilation_rate")
    extra = site.config.get("output_padding")
    more = (None,) * axes if extra is None else tuple(extra) if isinstance(extra, list) else (extra,) * axes
    padding = site.config.get("padding", "valid")
    if padding not in ("valid", "same") or len(more) != axes:
        raise Refused(f'padding "{padding}" with output_padding={extra!r} has no rule')
    reaches = [(size - 1) * gap + 1 for size, gap in zip(window, dilation, strict=True)]
    if any(reach < stride for reach, stride in zip(reaches, strides, strict=True)):
        # torch 2.15's backward pass of it crashes the process on channels_last images of a 1 x 1 kernel.
        raise Refused(f"kernel_size={short(window)} is smaller than strides={short(strides)}: it has no rule")
    rows = [
        _edges(reach, stride, padding == "same", each)
        for reach, stride, each in zip(reaches, strides, more, strict=True)
    ]
    front, behind = (tuple(row[place] for row in rows) for place in (0, 1))
    keywords: dict[str, Any] = {}
    if set(strides) != {1}:
        keywords["stride"] = short(strides)
    # torch cuts both edges alike, and adds behind what is cut too much.
    if any(front):
        keywords["padding"] = short(front)
    added = tuple(max(start - end, 0) for start, end in rows)
    if any(added):
        keywords["output_padding"] = short(added)
    if not site.config.get("use_bias", True):
        keywords["bias"] = False
    if set(dilation) != {1}:
        keywords["dilation"] = short(dilation)
    positional = {
        "in_channels": site.channels(),
        "out_channels": site.stated("filters"),
        "kernel_size": short(window),
    }
    surplus = tuple((0, max(end - start, 0)) for start, end in zip(front, behind, strict=True))
    cut = (crop_step(surplus, "_crop"),) if any(map(any, surplus)) else ()
    # (..., out, in) to (in, out, ...).
    weights = {"kernel": Carry("weight", (axes + 1, axes, *range(axes))), "bias": Carry("bias")}
    steps = (
        Step(Make(f"nn.ConvTranspose{axes}d", positional, keywords)),
        *cut,
        *activation_steps(site, order),
    )
    return Piece(steps, orders=(order,), order=order, weights=weights, differences=("D07",))


def _edges(reach: int, stride: int, is_same: bool, extra: int | None) -> tuple[int, int]:
    """What is cut in front and behind of all that the window reaches; below 0: zeros are added."""
    if is_same:
        # From n places: n * stride, or (n - 1) * stride + reach - 2 * (reach // 2) + extra.
        total = reach - stride if extra is None else 2 * (reach // 2) - extra
    else:
        total = 0 if extra is None else -extra
    front = max(total, 0) // 2
    return front, total - front


RULES = dict.fromkeys((f"Conv{axes}DTranspose" for axes in (1, 2, 3)), transposed_convolution)
