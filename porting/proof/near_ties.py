"""The gradient of MaxPooling3D as TensorFlow has it on a CPU (D52), to compare the others' with.

Source: tensorflow 2.21 core/kernels/pooling_ops_3d.cc, `LaunchMaxPooling3dGradOp<CPUDevice, T>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d, pad
from torch.overrides import TorchFunctionMode

from porting.program import Program

NEAR = 1e-5
"""A value that is less than this below the largest of its window is taken for the largest, too."""


class NearTiesShare(TorchFunctionMode):
    """A context in which torch's max_pool3d gives every near tie the whole gradient."""

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: Iterable[Any] = (), kwargs: Any = None
    ) -> Any:
        if func in (max_pool3d, torch.max_pool3d):
            return _pooled(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def has_near_ties(program: Program) -> bool:
    """Whether a model pools over three axes."""
    return any(statement.layer.class_name == "MaxPooling3D" for statement in program.walk())


def _pooled(
    features: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if ceil_mode or return_indices or _triple(dilation) != (1, 1, 1):
        raise NotImplementedError("no Keras pooling has it")
    before = _triple(padding)
    sides = [side for each in reversed(before) for side in (each, each)]
    padded = pad(features, sides, value=float("-inf")) if any(before) else features
    kernel = _triple(kernel_size)
    return _MaxPool3d.apply(padded, kernel, _triple(stride) if stride else kernel)  # type: ignore[no-any-return]


def _triple(size: Any) -> tuple[int, ...]:
    return (size,) * 3 if isinstance(size, int) else tuple(size)


class _MaxPool3d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        windows = features
        for axis, (size, step) in enumerate(zip(kernel, stride, strict=True), start=2):
            windows = windows.unfold(axis, size, step)
        largest = windows.amax((-3, -2, -1))
        ctx.save_for_backward(features, largest)
        ctx.kernel, ctx.stride = kernel, stride
        return largest

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        features, largest = ctx.saved_tensors
        given = torch.zeros_like(features)
        for offsets in product(*(range(size) for size in ctx.kernel)):
            # The value in this corner of every window.
            ends = [
                start + step * (count - 1) + 1
                for start, step, count in zip(offsets, ctx.stride, largest.shape[2:], strict=True)
            ]
            inside = [slice(*each) for each in zip(offsets, ends, ctx.stride, strict=True)]
            places = (slice(None), slice(None), *inside)
            given[places] += gradient * (largest - features[places] < NEAR)
        return given, None, None
