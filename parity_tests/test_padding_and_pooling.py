"""Padding "same" and pooling against Keras itself, forward and gradients; what torch has instead fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.padding import SamePadConv1d, SamePadConv2d, same_padding
from lightning_impl.keras_semantics.pooling import (
    GlobalAveragePool2d,
    GlobalMaxPool2d,
    SameAveragePool2d,
    SameMaxPool2d,
)
from lightning_impl.keras_semantics.profile import PROFILES
from parity_common.command_errors import UserError
from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.padding_and_pooling import draw_cotangent, draw_features, draw_weights

DTYPES = {"float32": torch.float32, "float64": torch.float64}
# Of the largest element. Measured: 7e-7 and 1e-15; padding both sides alike is off by 0.3 and more.
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
FILTERS, MULTIPLIER = 4, 2
SIZES = ((5, 6), (8, 7))
WINDOWS = [
    {"kernel": kernel, "stride": stride, "dilation": 1} for kernel in (1, 2, 3, 4, 5) for stride in (1, 2, 3)
]
UNEVEN = [
    {"kernel": (3, 2), "stride": (2, 1), "dilation": 1},
    {"kernel": (2, 5), "stride": (3, 2), "dilation": 1},
]
# TensorFlow has no convolution that is both dilated and strided.
DILATED = [{"kernel": kernel, "stride": 1, "dilation": dilation} for kernel in (2, 3) for dilation in (2, 3)]


def conv_case(kind: str, sizes: tuple[int, ...], window: dict) -> dict:
    arguments = {"kernel_size": window["kernel"], "strides": window["stride"], "padding": "same"}
    arguments["dilation_rate"] = window["dilation"]
    arguments.update({"depth_multiplier": MULTIPLIER} if kind == "DepthwiseConv2D" else {"filters": FILTERS})
    return {"class": kind, "arguments": arguments, "sizes": sizes, "window": window}


def pool_case(kind: str, sizes: tuple[int, ...], window: dict, ties: bool = False) -> dict:
    arguments = {"pool_size": window["kernel"], "strides": window["stride"], "padding": "same"}
    return {"class": kind, "arguments": arguments, "sizes": sizes, "window": window, "ties": ties}


def whole_case(kind: str, sizes: tuple[int, ...], ties: bool = False) -> dict:
    return {"class": kind, "arguments": {}, "sizes": sizes, "window": {}, "ties": ties}


CASES = {
    "conv2d": [conv_case("Conv2D", sizes, window) for sizes in SIZES for window in WINDOWS + DILATED]
    + [conv_case("Conv2D", SIZES[0], window) for window in UNEVEN],
    "conv1d": [conv_case("Conv1D", sizes[:1], window) for sizes in SIZES for window in WINDOWS + DILATED],
    # TensorFlow's depthwise convolution has one stride for both axes.
    "depthwise": [conv_case("DepthwiseConv2D", sizes, window) for sizes in SIZES for window in WINDOWS[3:9]],
    "max": [
        pool_case("MaxPooling2D", sizes, window, ties)
        for sizes in SIZES
        for window in WINDOWS + UNEVEN
        for ties in (False, True)
    ],
    "average": [
        pool_case("AveragePooling2D", sizes, window) for sizes in SIZES for window in WINDOWS + UNEVEN
    ],
    "global_average": [whole_case("GlobalAveragePooling2D", sizes) for sizes in SIZES],
    "global_max": [
        whole_case("GlobalMaxPooling2D", sizes, ties) for sizes in SIZES for ties in (False, True)
    ],
}
for kind, cases in CASES.items():
    for place, case in enumerate(cases):
        case["name"] = f"{kind}-{place}"


@cache
def keras_answers(profile: str, dtype: str) -> dict[str, np.ndarray]:
    cases = [case for cases in CASES.values() for case in cases]
    return ask_keras("padding_and_pooling.run", profile, cases=json.dumps(cases), dtype=dtype)


def keras_padded(case: dict) -> nn.Module:
    window = case["window"]
    conv = {"stride": window.get("stride"), "dilation": window.get("dilation")}
    match case["class"]:
        case "Conv2D":
            return SamePadConv2d(3, FILTERS, window["kernel"], **conv)
        case "Conv1D":
            return SamePadConv1d(3, FILTERS, window["kernel"], **conv)
        case "DepthwiseConv2D":
            return SamePadConv2d(3, 3 * MULTIPLIER, window["kernel"], groups=3, **conv)
        case "MaxPooling2D":
            return SameMaxPool2d(window["kernel"], window["stride"])
        case "AveragePooling2D":
            return SameAveragePool2d(window["kernel"], window["stride"])
        case "GlobalAveragePooling2D":
            return GlobalAveragePool2d()
    return GlobalMaxPool2d()


def symmetric(case: dict) -> nn.Module:
    """What a careless port writes: half a window on each side."""
    kernel, stride = case["window"].get("kernel"), case["window"].get("stride")
    half = tuple(side // 2 for side in kernel) if isinstance(kernel, tuple) else (kernel or 0) // 2
    match case["class"]:
        case "Conv2D" | "Conv1D" | "DepthwiseConv2D":
            dilation = case["window"]["dilation"]
            half = half if isinstance(half, tuple) else half * dilation
            conv = nn.Conv1d if case["class"] == "Conv1D" else nn.Conv2d
            groups = 3 if case["class"] == "DepthwiseConv2D" else 1
            out = 3 * MULTIPLIER if groups == 3 else FILTERS
            return conv(3, out, kernel, stride, half, dilation, groups)
        case "MaxPooling2D":
            return nn.MaxPool2d(kernel, stride, half)
        case "AveragePooling2D":
            return nn.AvgPool2d(kernel, stride, half, count_include_pad=False)
    return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())


def to_torch(array: np.ndarray) -> Tensor:
    """Features: channels from the last axis to the second."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))


def kernel_to_torch(case: dict, kernel: np.ndarray) -> np.ndarray:
    if case["class"] == "DepthwiseConv2D":
        return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    return kernel.transpose(kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2))


def ours(case: dict, dtype: str, make: Callable[[dict], nn.Module], theirs: dict) -> dict[str, np.ndarray]:
    """The layer's output and gradients under Keras's names, in torch's axis order; shapes may be wrong."""
    layer = make(case).to(DTYPES[dtype])
    shapes = [theirs[name].shape for name in ("w0", "w1") if name in theirs]
    for place, (parameter, weight) in enumerate(zip(layer.parameters(), draw_weights(shapes), strict=True)):
        parameter.data.copy_(torch.from_numpy(kernel_to_torch(case, weight) if place == 0 else weight))
    features = to_torch(draw_features(case)).to(DTYPES[dtype]).requires_grad_()
    output = layer(features)
    answer = {"output": output}
    if output.shape == to_torch(theirs["output"]).shape:
        (output * to_torch(draw_cotangent(theirs["output"].shape)).to(output.dtype)).sum().backward()
        answer["features"] = features.grad
        answer.update({f"w{place}": parameter.grad for place, parameter in enumerate(layer.parameters())})
    return {name: value.detach().numpy() for name, value in answer.items()}


def worst(case: dict, profile: str, dtype: str, make: Callable[[dict], nn.Module] = keras_padded) -> float:
    """The largest deviation of outputs and gradients, of the largest element; infinite of a wrong shape."""
    prefix = f"{case['name']}|"
    theirs = {
        name.removeprefix(prefix): value
        for name, value in keras_answers(profile, dtype).items()
        if name.startswith(prefix)
    }
    mine = ours(case, dtype, make, theirs)
    if len(mine) == 1:
        return float("inf")
    assert mine.keys() == theirs.keys()
    deviations = []
    for name, value in theirs.items():
        if name == "w0":
            value = kernel_to_torch(case, value)
        elif name != "w1":
            value = to_torch(value).numpy()
        assert mine[name].shape == value.shape
        assert mine[name].dtype == value.dtype
        assert np.ptp(value) > 0
        deviations.append(float(np.abs(mine[name] - value).max() / np.abs(value).max()))
    return max(deviations)


@pytest.mark.keras
@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("profile", PROFILES)
def test_same_padding_and_pooling_matches_keras(profile: str, dtype: str, kind: str) -> None:
    deviations = {case["name"]: worst(case, profile, dtype) for case in CASES[kind]}
    assert {name: value for name, value in deviations.items() if value > TOLERANCE[dtype]} == {}
    if kind == "max":
        # Nothing is computed: outputs are picked. Gradients add up where windows overlap.
        assert max(deviations.values()) < TOLERANCE[dtype] / 10


@pytest.mark.keras
@pytest.mark.parametrize("kind", ["conv2d", "conv1d", "depthwise", "max", "average"])
def test_symmetric_padding_fails(kind: str) -> None:
    """D07, D12: agrees where the sum of the padding is even on both axes and nowhere else."""
    for case in CASES[kind]:
        window = case["window"]
        pairs = zip(
            case["sizes"],
            np.broadcast_to(window["kernel"], len(case["sizes"])),
            np.broadcast_to(window["stride"], len(case["sizes"])),
            strict=True,
        )
        half = [
            same_padding(size, int(kernel), int(stride), window["dilation"])
            == 2 * ((int(kernel) // 2) * window["dilation"],)
            for size, kernel, stride in pairs
        ]
        deviation = worst(case, "keras3", "float64", symmetric)
        if all(half):
            assert deviation <= TOLERANCE["float64"]
        elif window["kernel"] != 1:
            assert deviation > 0.01, case


@pytest.mark.keras
def test_d12_counted_padding_fails() -> None:
    def counted(case: dict) -> nn.Module:
        return nn.AvgPool2d(3, 1, 1)

    (case,) = (
        case
        for case in CASES["average"]
        if case["window"] == {"kernel": 3, "stride": 1, "dilation": 1} and case["sizes"] == SIZES[0]
    )
    assert worst(case, "keras3", "float64", counted) > 0.1


@pytest.mark.keras
def test_adaptive_max_pool_fails_where_values_tie() -> None:
    for case in CASES["global_max"]:
        deviation = worst(case, "keras3", "float64", symmetric)
        assert deviation > 0.1 if case["ties"] else deviation == 0


def test_same_padding_splits_an_odd_pixel_to_the_end() -> None:
    assert same_padding(6, 3, 2) == (0, 1)
    assert same_padding(5, 3, 2) == (1, 1)
    assert same_padding(5, 1, 3) == (0, 0)
    assert same_padding(7, 3, 1, dilation=3) == (3, 3)


def test_layers_keep_weight_names_and_memory_format() -> None:
    assert SamePadConv2d(3, 4, 3).state_dict().keys() == nn.Conv2d(3, 4, 3).state_dict().keys()
    features = torch.randn(2, 3, 6, 7).to(memory_format=torch.channels_last)
    for layer in (SamePadConv2d(3, 4, 3, stride=2), SameMaxPool2d(2), SameAveragePool2d(3, 2)):
        output = layer.to(memory_format=torch.channels_last)(features)
        assert output.is_contiguous(memory_format=torch.channels_last), layer


def test_global_pools_keep_dimensions_when_asked() -> None:
    features = torch.randn(2, 3, 4, 5)
    for make in (GlobalAveragePool2d, GlobalMaxPool2d):
        assert make(keepdims=True)(features).shape == (2, 3, 1, 1)
        assert torch.equal(make(keepdims=True)(features).flatten(1), make()(features))


def test_padding_argument_is_refused() -> None:
    with pytest.raises(UserError, match="padding beside Keras's padding same"):
        SamePadConv2d(3, 4, 3, padding=1)
