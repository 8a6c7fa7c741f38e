"""Layers of keras_semantics against Keras itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lightning_impl.keras_semantics.layers import BatchNorm, Dropout, Flatten, relu_then_pool
from lightning_impl.keras_semantics.profile import PROFILES
from parity_tests.keras_oracle import ask_keras

DTYPES = {"float32": torch.float32, "float64": torch.float64}
# float32: 5 times what a 36-value mean in float32 is off from float64; the smallest fault (the other variance
# rule at 36 values) is 3e-4 of the statistic after one step.
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


def batch_norm_case(*shape: int) -> dict[str, np.ndarray]:
    random = np.random.RandomState(len(shape))
    features = random.normal(0.5, 2, shape)
    return {
        "features": features,
        "gamma": random.uniform(0.5, 1.5, 5),
        "beta": random.normal(0, 1, 5),
        "mean": random.normal(0, 1, 5),
        "variance": random.uniform(0.5, 2, 5),
    }


def our_batch_norm(profile: str, dtype: str, case: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    ours = BatchNorm(5, PROFILES[profile]).to(DTYPES[dtype])
    with torch.no_grad():
        for name, value in zip(
            ("weight", "bias", "running_mean", "running_var"), list(case.values())[1:], strict=True
        ):
            getattr(ours, name).copy_(torch.from_numpy(value))
        features = torch.from_numpy(case["features"]).to(DTYPES[dtype])
        output = (
            ours(features.permute(0, 3, 1, 2)).permute(0, 2, 3, 1) if features.dim() == 4 else ours(features)
        )
    return {"output": output.numpy(), "mean": ours.running_mean.numpy(), "variance": ours.running_var.numpy()}


def worst(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    assert ours.keys() == theirs.keys()
    return max(float(np.abs(ours[key] - theirs[key]).max() / np.abs(theirs[key]).max()) for key in ours)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(36, 5), (4, 3, 3, 5)])
def test_batch_norm_training_matches_keras(profile: str, dtype: str, shape: tuple[int, ...]) -> None:
    case = batch_norm_case(*shape)
    theirs = ask_keras("batch_norm_statistics", profile, dtype=dtype, **case)
    assert worst(our_batch_norm(profile, dtype, case), theirs) <= TOLERANCE[dtype]
    if len(shape) == 4 and dtype == "float32":
        # The other generation's running variance must not pass.
        (other,) = set(PROFILES) - {profile}
        assert worst(our_batch_norm(other, dtype, case), theirs) > 10 * TOLERANCE[dtype]


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 5), (1, 1, 1, 5)])
def test_batch_norm_of_one_value_matches_keras(profile: str, dtype: str, shape: tuple[int, ...]) -> None:
    """A last batch of one image, which torch refuses."""
    case = batch_norm_case(*shape)
    theirs = ask_keras("batch_norm_statistics", profile, dtype=dtype, **case)
    # Keras takes x s - mean s with s = gamma / sqrt(0.001), up to 3e-6 off from its beta in float32 and 6e-15
    # in float64: ten times that.
    assert worst(our_batch_norm(profile, dtype, case), theirs) <= {"float32": 3e-5, "float64": 6e-14}[dtype]
    layer = BatchNorm(5, PROFILES[profile])
    features = torch.randn(1, 5, requires_grad=True)
    (layer(features) * torch.arange(5.0)).sum().backward()
    assert torch.equal(features.grad, torch.zeros(1, 5))
    assert torch.equal(layer.bias.grad, torch.arange(5.0))
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(5)(features)


def test_batch_norm_can_be_trained() -> None:
    for profile in PROFILES.values():
        ours = BatchNorm(5, profile).double().train()
        features = torch.randn(6, 5, 2, 3, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda values, layer=ours: layer(values), features)


@pytest.mark.parametrize("rate", [0.25, 0.5, 0.2])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dropout_keeps_the_share_and_the_mean(rate: float, memory_format: torch.memory_format) -> None:
    torch.manual_seed(1)
    ones = torch.ones(16, 8, 31, 33).to(memory_format=memory_format)
    dropped = Dropout(rate).train()(ones)
    assert set(dropped.unique().tolist()) == {0.0, float(torch.tensor(1.0) * (1 / (1 - rate)))}
    count = ones.numel()
    # Five standard deviations of a binomial count.
    assert abs(int((dropped == 0).sum()) - rate * count) < 5 * np.sqrt(count * rate * (1 - rate))
    # Neighbours in every direction are independent: shares of equal pairs as chance has them.
    zero = dropped == 0
    for axis in range(4):
        both = (zero & zero.roll(1, axis)).double().mean()
        assert abs(both - rate**2) < 5 * np.sqrt(rate**2 * (1 - rate**2) / count) * 2


def test_dropout_is_seeded_draws_anew_and_rests_in_evaluation() -> None:
    layer = Dropout(0.25).train()
    features = torch.randn(4, 3, 5, 7)
    torch.manual_seed(3)
    first, second = layer(features), layer(features)
    torch.manual_seed(3)
    assert torch.equal(layer(features), first)
    assert not torch.equal(first, second)
    assert layer.eval()(features) is features


def test_dropout_gradient_uses_the_same_mask() -> None:
    features = torch.randn(4, 3, 5, 7, requires_grad=True)
    dropped = Dropout(0.5).train()(features)
    dropped.sum().backward()
    assert torch.equal(features.grad, torch.where(dropped == 0, 0.0, 2.0))


@pytest.mark.parametrize("shape", [(3, 4, 9, 7), (2, 5, 8, 8)])
def test_relu_then_pool_is_the_same_to_the_bit_in_training(shape: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    # Few distinct values, many of them negative or zero: ties within windows in plenty.
    values = torch.randint(-6, 3, shape).float().to(memory_format=torch.channels_last)
    relu, pool = nn.ReLU(), nn.MaxPool2d(2)
    results = []
    for function in (lambda x: pool(relu(x)), lambda x: relu_then_pool(x, relu, pool)):
        features = values.clone().requires_grad_()
        output = function(features)
        (output * torch.arange(output.numel()).reshape(output.shape)).sum().backward()
        results.append((output, features.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert results[0][1].count_nonzero() > 0


def test_flatten_has_keras_order() -> None:
    features = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    channels_last = features.numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(Flatten()(features).numpy(), channels_last.reshape(2, -1))
