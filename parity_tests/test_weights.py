"""Weight transfer, both ways, on the golden's layers: no Keras is needed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from lightning_impl.keras_semantics.weight_places import RULES
from lightning_impl.models.v3 import V3
from porting.replay import build_port
from porting.trace import KerasLayer, KerasWeight, Trace
from porting.weights import TransferError, keras_to_torch, tensors_of, torch_to_keras


@pytest.fixture
def arrays(golden: Trace) -> dict[str, np.ndarray]:
    return dict(golden.weights)


@pytest.fixture
def module(golden: Trace) -> nn.Module:
    return build_port(V3, golden)


def test_round_trip_from_keras_is_bitwise(
    golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module
) -> None:
    before = {name: tensor.clone() for name, tensor in tensors_of(module).items()}
    keras_to_torch(arrays, golden.layers, module)
    back = torch_to_keras(module, golden.layers)
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype == np.float64
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()
    for name, tensor in tensors_of(module).items():
        assert not torch.equal(tensor, before[name]), f"{name} was not written"


def test_round_trip_from_torch_is_bitwise(golden: Trace, module: nn.Module) -> None:
    torch.manual_seed(0)
    for tensor in tensors_of(module).values():
        tensor.copy_(torch.randn_like(tensor))
    other = build_port(V3, golden)
    keras_to_torch(torch_to_keras(module, golden.layers), golden.layers, other)
    ours = tensors_of(other)
    for name, tensor in tensors_of(module).items():
        assert torch.equal(ours[name], tensor), name


def test_rules_permute_axes() -> None:
    for places in RULES.values():
        for place in places.values():
            assert sorted(place.axes) == list(range(len(place.axes)))


def test_nonsquare_kernel_is_carried_by_place() -> None:
    """Every axis of its own length, and one element followed by hand: no two rules look alike here."""
    kernel = np.random.RandomState(0).standard_normal((2, 3, 4, 5))
    layer = KerasLayer("conv", "Conv2D", (), 0, 0, (KerasWeight("kernel", kernel.shape, True),))
    module = nn.Module()
    module.conv = nn.Conv2d(4, 5, (2, 3), bias=False).double()
    keras_to_torch({"conv/kernel": kernel}, [layer], module)
    assert module.conv.weight[4, 1, 0, 2].item() == kernel[0, 2, 1, 4]


def test_arrays_taken_from_torch_do_not_follow_it(golden: Trace, module: nn.Module) -> None:
    taken = torch_to_keras(module, golden.layers)["head/bias"]
    before = taken.copy()
    with torch.no_grad():
        module.get_parameter("head.bias").add_(1)
    assert np.array_equal(taken, before)


def test_unused_array_raises(golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module) -> None:
    arrays["conv1/kernels"] = arrays["conv1/kernel"]
    with pytest.raises(TransferError, match=r'conv1/kernels is among .*did you mean "conv1/kernel"'):
        keras_to_torch(arrays, golden.layers, module)


def test_missing_array_raises(golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module) -> None:
    del arrays["bn2/moving_mean"]
    with pytest.raises(TransferError, match="bn2/moving_mean is missing") as caught:
        keras_to_torch(arrays, golden.layers, module)
    assert caught.value.layer == "bn2"


def test_unused_torch_parameter_raises(
    golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module
) -> None:
    module.register_parameter("scale", nn.Parameter(torch.ones(1)))
    for transfer in (
        lambda: keras_to_torch(arrays, golden.layers, module),
        lambda: torch_to_keras(module, golden.layers),
    ):
        with pytest.raises(TransferError, match="scale of the port gets no value"):
            transfer()


def test_missing_torch_parameter_raises(
    golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module
) -> None:
    module.get_submodule("conv2").bias = None
    with pytest.raises(TransferError, match=r"conv2/bias has nowhere to go: the port has no conv2\.bias"):
        keras_to_torch(arrays, golden.layers, module)


def test_wrong_shape_raises_and_changes_nothing(
    golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module
) -> None:
    before = {name: tensor.clone() for name, tensor in tensors_of(module).items()}
    arrays["head/kernel"] = arrays["head/kernel"].T
    with pytest.raises(TransferError, match=r"head/kernel is \(30, 256\).*\(256, 30\) in Keras's order"):
        keras_to_torch(arrays, golden.layers, module)
    for name, tensor in tensors_of(module).items():
        assert torch.equal(tensor, before[name])


def test_wrong_dtype_raises(golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module) -> None:
    arrays["dense/bias"] = arrays["dense/bias"].astype(np.float32)
    with pytest.raises(TransferError, match=r"dense/bias is float32, but dense\.bias .* torch\.float64"):
        keras_to_torch(arrays, golden.layers, module)


def test_class_without_a_rule_raises(golden: Trace, arrays: dict[str, np.ndarray], module: nn.Module) -> None:
    layers = [dataclasses.replace(layer, class_name="Conv3D") for layer in golden.layers]
    with pytest.raises(TransferError, match="conv1/kernel: no rule for the class Conv3D"):
        keras_to_torch(arrays, layers, module)


def test_torch_batch_counter_is_the_one_exception() -> None:
    layer = KerasLayer(
        "bn",
        "BatchNormalization",
        (),
        0,
        0,
        tuple(KerasWeight(n, (3,), True) for n in RULES["BatchNormalization"]),
    )
    module = nn.Module()
    module.bn = nn.BatchNorm2d(3)
    assert "bn.num_batches_tracked" in module.state_dict()
    assert set(torch_to_keras(module, [layer])) == {f"bn/{name}" for name in RULES["BatchNormalization"]}
