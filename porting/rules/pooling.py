"""Pooling. Source: keras 3.15 layers/pooling; the same in tf_keras 2.21."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from porting.rules.piece import Make, Piece, Refused, Site, Step, keras_order, per_axis, short


def _pooling(kind: str) -> Callable[[Site], Piece]:
    def rule(site: Site) -> Piece:
        axes, order = site.rank - 2, site.image_order()
        window = per_axis(site.config.get("pool_size", 2), axes, "pool_size")
        strides = per_axis(site.config.get("strides") or window, axes, "strides")
        padding = site.config.get("padding", "valid")
        if padding not in ("valid", "same"):
            raise Refused(f'padding "{padding}" has no rule')
        sizes = [site.input.shape[axis] for axis in order[2:]]
        # "same" pads nothing where the strides divide the sizes and reach as far as the window.
        divides = all(
            size is not None and size % stride == 0 and reach <= stride
            for size, stride, reach in zip(sizes, strides, window, strict=True)
        )
        keywords: dict[str, Any] = {} if strides == window else {"stride": short(strides)}
        pads = padding == "same" and not divides
        # At stride 1 an odd window is padded alike on both sides, whatever the size.
        alike = set(strides) == {1} and all(reach % 2 for reach in window)
        if pads and alike:
            keywords["padding"] = short(tuple(reach // 2 for reach in window))
            keywords |= {} if kind == "Max" else {"count_include_pad": False}
        same = pads and not alike
        make = Make(f"{'Same' if same else 'nn.'}{kind}Pool{axes}d", {"kernel_size": short(window)}, keywords)
        differences = () if not pads else ("D07",) if kind == "Max" else ("D07", "D12")
        notes = (NEAR_TIES,) if (kind, axes) == ("Max", 3) else ()
        return Piece((Step(make),), orders=(order,), order=order, differences=differences, notes=notes)

    return rule


NEAR_TIES = "gives each near tie the whole gradient in TensorFlow on a CPU, here one value has it (D52)"


def global_average_pooling(site: Site) -> Piece:
    """GlobalAveragePooling1D, 2D and 3D."""
    order = site.image_order()
    pool = Step(Make(f"nn.AdaptiveAvgPool{site.rank - 2}d", {"output_size": 1}))
    if site.config.get("keepdims"):
        return Piece((pool,), orders=(order,), order=order)
    flatten = Step(Make("nn.Flatten"), "{}.flatten(1)", "_flatten")
    return Piece((pool, flatten), orders=(order,), order=keras_order(2))


def global_max_pooling(site: Site) -> Piece:
    """GlobalMaxPooling1D, 2D and 3D."""
    order = site.image_order()
    keepdims = bool(site.config.get("keepdims"))
    axes = tuple(range(2, site.rank))
    function = f"{{}}.amax({axes if len(axes) > 1 else axes[0]}{', keepdim=True' if keepdims else ''})"
    step = Step(Make("GlobalMaxPool", {}, {"keepdims": True} if keepdims else {}), function)
    return Piece((step,), orders=(order,), order=order if keepdims else keras_order(2))


RULES = {
    **{f"MaxPooling{axes}D": _pooling("Max") for axes in (1, 2, 3)},
    **{f"AveragePooling{axes}D": _pooling("Avg") for axes in (1, 2, 3)},
    **{f"GlobalAveragePooling{axes}D": global_average_pooling for axes in (1, 2, 3)},
    **{f"GlobalMaxPooling{axes}D": global_max_pooling for axes in (1, 2, 3)},
}
