"""v1, v2, v3, a v3 of odd size and a plain net up the ladder: rungs 1 structure, 2 weights, 3 forward."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
from conftest import DTYPES, MODELS, MORE_SEEDS, ODD_SIZE, PLAIN_SHAPE, PROFILES, FindTrace

from lightning_impl.models import V1, V2, V3, Plain
from porting.ladder import RungResult, climb
from porting.replay import build_port
from porting.tolerances import FORWARD, TOLERANCES

PORTS = {"v1": V1, "v2": V2, "v3": V3, "odd": V3, "plain": partial(Plain, **PLAIN_SHAPE)}
PARAMETERS = {"v1": (3_707_806, 0), "v2": (1_305_310, 0), "v3": (774_302, 1_216)}
"""The record page's totals, trained and not."""

CASES = [
    pytest.param(*case, id="-".join(case))
    for case in itertools.product((*MODELS, "odd", "plain"), PROFILES, DTYPES)
]

Climbed = Callable[..., dict[str, RungResult]]


@pytest.fixture(scope="module")
def climbed(traces: FindTrace) -> Climbed:
    """The rungs of a case by name; each case climbs once."""
    cache: dict[tuple[str, str, str, int], dict[str, RungResult]] = {}

    def find(name: str, profile: str, dtype: str, seed: int = 0) -> dict[str, RungResult]:
        key = (name, profile, dtype, seed)
        if key not in cache:
            cache[key] = {rung.name: rung for rung in climb(traces(*key), PORTS[name])}
        return cache[key]

    return find


@pytest.mark.parametrize(("name", "profile", "dtype"), CASES)
def test_structure_matches_keras(climbed: Climbed, name: str, profile: str, dtype: str) -> None:
    rung = climbed(name, profile, dtype)["structure"]
    assert rung.holds, f"{rung.layer}: {rung.fault}"


@pytest.mark.parametrize(("name", "profile", "dtype"), CASES)
def test_weights_match_keras(climbed: Climbed, name: str, profile: str, dtype: str) -> None:
    rung = climbed(name, profile, dtype)["weights"]
    assert rung.holds, f"{rung.layer}: {rung.fault}"
    assert len(rung.comparisons) == {"v1": 8, "v2": 12, "v3": 32, "odd": 32, "plain": 12}[name]


@pytest.mark.parametrize(("name", "profile", "dtype"), CASES)
def test_forward_matches_keras(climbed: Climbed, name: str, profile: str, dtype: str) -> None:
    rung = climbed(name, profile, dtype)["forward"]
    assert rung.holds, f"{rung.layer}: {rung.fault}"
    assert len(rung.comparisons) == {"v1": 11, "v2": 22, "v3": 27, "odd": 27, "plain": 16}[name]


@pytest.mark.parametrize("seed", MORE_SEEDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_clean_port_gives_no_alarm(climbed: Climbed, dtype: str, seed: int) -> None:
    rungs = climbed("v3", "tf2.4", dtype, seed)
    assert {name: rung.fault for name, rung in rungs.items()} == {
        "structure": "",
        "weights": "",
        "forward": "",
    }


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", MODELS)
def test_parameter_counts_match_keras(traces: FindTrace, name: str, profile: str) -> None:
    trace = traces(name, profile, "float32")
    module = build_port(PORTS[name], trace)
    theirs = (
        sum(layer.trainable_parameters for layer in trace.layers),
        sum(layer.non_trainable_parameters for layer in trace.layers),
    )
    ours = (
        sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad),
        sum(buffer.numel() for buffer in module.buffers()),
    )
    assert ours == theirs == PARAMETERS[name]


def test_odd_case_is_neither_square_nor_even(traces: FindTrace) -> None:
    trace = traces("odd", "tf2.4", "float64")
    assert trace.input_shapes == [(2, *ODD_SIZE, 3)]
    assert trace.layer("flatten").output_shape == (None, 4 * 2 * 128)


def test_forward_tolerances_are_tight() -> None:
    assert TOLERANCES[FORWARD, "float64"].residual <= 1e-10
    assert TOLERANCES[FORWARD, "float32"].residual <= 2e-5
