"""Every rule of porting/rules against both Kerases: files that Keras wrote, read, carried over and run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lightning_impl.keras_semantics.profile import PROFILES
from parity_common.command_errors import UserError
from parity_common.run_folder import write_text_atomically
from parity_tests.layers_page import Facts, page
from parity_tests.rule_cases import FAMILIES, cases_for, cases_of
from parity_tests.rule_cases.refusals import REFUSALS, Refusal
from parity_tests.rule_port import DTYPES, Port, Wrong, answers, worst
from parity_tests.rule_port import files_are_read_here as files_are_read_here
from porting.__main__ import main
from porting.graph import Call, Graph, Layer, TensorRef
from porting.keras_file import read_keras_file
from porting.program import program_of
from porting.rules import RULES
from porting.rules.attention import heads_joined
from porting.rules.piece import Carry, Make, Piece, Refused, Site, Value, channels_first_order, keras_order

PAGE = Path(__file__).parents[1] / "docs" / "layers.md"
# Of the largest element of each array. Measured: 4e-15 and 4e-6; the smallest fault below is off by 1e-3.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}
# Where Keras itself rounds to float32 in a float64 model.
ROUNDED = 1e-6
LAYERS = [
    (family, layer) for family in FAMILIES for layer in dict.fromkeys(case.layer for case in cases_of(family))
]


def deviations(family: str, layer: str, profile: str, dtype: str) -> dict[str, float | str]:
    """By case; in words where it cannot be compared."""
    found: dict[str, float | str] = {}
    without_onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0"
    for case in cases_for(family, profile, dtype):
        if case.layer == layer:
            allowed = max(TOLERANCE[dtype], ROUNDED if case.keras_rounds else 0)
            try:
                value = worst(case, family, profile, dtype)
            except (UserError, Wrong) as problem:
                if case.needs_onednn and without_onednn and str(problem).startswith("Keras: "):
                    continue
                found[case.name] = str(problem)
                continue
            # Not >: no number is within no bound.
            if not value <= allowed:
                found[case.name] = value
    return found


@pytest.mark.keras
@pytest.mark.parametrize(("family", "layer"), LAYERS, ids=["-".join(each) for each in LAYERS])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("profile", PROFILES)
def test_rule_matches_keras(profile: str, dtype: str, family: str, layer: str) -> None:
    assert deviations(family, layer, profile, dtype) == {}


@pytest.mark.full
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("profile", PROFILES)
def test_inspect_says_of_every_case_what_is_done_with_it(
    tmp_path: Path, profile: str, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for case in cases_for(family, profile, "float64"):
        for path in answers(family, profile, "float64").files(case):
            try:
                Port.of(path, profile, "float64")
                refusal = ""
            except UserError as error:
                refusal = str(error)
            assert main(["inspect", str(path), "--json", str(tmp_path / "said.json")]) == 0
            said = json.loads((tmp_path / "said.json").read_text(encoding="utf-8"))["cannot_be_converted"]
            assert ("every layer can be converted" in capsys.readouterr().out) == (not refusal), case.name
            assert bool(said) == bool(refusal), case.name
            assert all(each["reason"] in refusal for each in said), case.name


def _made(piece: Piece, changed: Callable[[Make], Make]) -> Piece:
    return replace(
        piece, steps=tuple(replace(step, make=changed(step.make), function=None) for step in piece.steps)
    )


def _keyword(name: str, value: Any) -> Callable[[Piece], Piece]:
    return lambda piece: _made(piece, lambda make: replace(make, keywords={**make.keywords, name: value}))


def _callee(name: str, **more: Any) -> Callable[[Piece], Piece]:
    return lambda piece: _made(
        piece, lambda make: replace(make, callee=name, keywords={**make.keywords, **more})
    )


def _weight(name: str, place: Carry) -> Callable[[Piece], Piece]:
    return lambda piece: replace(piece, weights={**piece.weights, name: place})


# Family, layer, a case's part, and what is done to the rule's piece.
FAULTS: Mapping[str, tuple[str, str, str, Callable[[Piece], Piece]]] = {
    "kernel turned": (
        "convolution",
        "Conv2D",
        "kernel_size=3-strides=1-padding=valid",
        _weight("kernel", Carry("weight", (3, 2, 1, 0))),
    ),
    "D07 padded alike": (
        "convolution",
        "Conv2D",
        "kernel_size=3-strides=2-padding=same",
        _callee("nn.Conv2d", padding=1),
    ),
    "D08 flattened as it lies": ("shape", "Flatten", "4x3x5", _callee("nn.Flatten")),
    "D10 epsilon": ("normalization", "BatchNormalization", "axis=-1", _keyword("eps", 1e-5)),
    "D12 padding counted": (
        "pooling",
        "AveragePooling2D",
        "pool_size=3-strides=1-padding=same",
        _keyword("count_include_pad", True),
    ),
    "D14 slope": ("activation", "LeakyReLU", "LeakyReLU-4x3x5", _keyword("negative_slope", 0.01)),
    "gradient of ties": ("pooling", "GlobalMaxPooling2D", "keepdims", lambda piece: _adaptive(piece)),
    "bias left out": ("activation", "Dense", "units=4-activation=relu", _weight("bias", Carry(""))),
    "scale for each row": (
        "normalization",
        "LayerNormalization",
        "axis=1,2,3",
        _weight("gamma", Carry("weight", (0, 2, 1), lambda gamma: gamma.reshape(4, 3, 5))),
    ),
    "GRU's gates as they lie": (
        "recurrent",
        "GRU",
        "6x4-units=5",
        _weight("kernel", Carry("weight_ih", (1, 0))),
    ),
    "reset gate on the other side": (
        "recurrent",
        "GRU",
        "reset_after=False-go_backwards=True-return_sequences=True-use_bias=False",
        lambda piece: _made(
            piece, lambda make: replace(make, positional={**make.positional, "reset_after": True})
        ),
    ),
    "backward layer not turned": (
        "wrapper",
        "Bidirectional",
        "LSTM-sum-return_sequences=True",
        _keyword("sequences", False),
    ),
    "heads taken for sizes": (
        "attention",
        "MultiHeadAttention",
        "of_itself",
        _weight("query/kernel", Carry("query.weight", (2, 1, 0), heads_joined)),
    ),
    "sees what comes": ("attention", "MultiHeadAttention", "causal", _keyword("causal", False)),
    "key taken for value": (
        "attention",
        "MultiHeadAttention",
        "a_key_of_the_value_s_size",
        lambda piece: replace(piece, takes=(0, 2, 1)),
    ),
}


def _adaptive(piece: Piece) -> Piece:
    return _made(piece, lambda make: Make("nn.AdaptiveMaxPool2d", {"output_size": 1}))


@pytest.mark.keras
@pytest.mark.parametrize("fault", FAULTS)
def test_harness_catches(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    family, layer, part, broken = FAULTS[fault]
    rule = RULES[layer]
    (case, *_) = (case for case in cases_of(family) if case.layer == layer and part in case.name)
    allowed = max(TOLERANCE["float64"], ROUNDED if case.keras_rounds else 0)
    assert worst(case, family, "keras3", "float64") <= allowed
    monkeypatch.setitem(RULES, layer, lambda site: broken(rule(site)))
    if fault == "bias left out":
        with pytest.raises(UserError, match="bias"):
            worst(case, family, "keras3", "float64")
    else:
        assert worst(case, family, "keras3", "float64") > 1e-3


def site_of(refusal: Refusal) -> Site:
    """A layer with that config on tensors of those shapes, images with their channels second."""
    refs = tuple(TensorRef(f"input{place}") for place in range(len(refusal.shapes)))
    inner = refusal.config.get("layer")
    wrapped = None if inner is None else Layer("inner", inner["class_name"], None, inner["config"])
    layer = Layer("layer", refusal.layer, None, refusal.config, wrapped=wrapped)
    values = tuple(
        Value((None, *shape), (channels_first_order if len(shape) > 2 else keras_order)(len(shape) + 1))
        for shape in refusal.shapes
    )
    call = Call("layer", 0, (refs[0] if len(refs) == 1 else refs,), refusal.call, refs)
    return Site(layer, call, values, PROFILES[refusal.generation])


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_rule_refuses(refusal: Refusal) -> None:
    """What cannot be carried over exactly is refused by name, never guessed."""
    with pytest.raises(Refused) as raised:
        RULES[refusal.layer](site_of(refusal))
    assert refusal.says in str(raised.value)


@pytest.mark.parametrize(("wrapper", "inner"), [("TimeDistributed", "Dense"), ("Bidirectional", "LSTM")])
def test_wrapper_says_what_it_leaves(wrapper: str, inner: str) -> None:
    config = {"units": 3, "activation": "tanh", "recurrent_activation": "sigmoid"}
    stated = {"layer": {"class_name": inner, "config": {**config, "kernel_regularizer": {"l2": 0.1}}}}
    piece = RULES[wrapper](site_of(Refusal(wrapper, stated, "", ((6, 4),))))
    assert piece.notes == (f"holds a {inner} whose kernel_regularizer is not carried over",)


def test_long_sequences_are_not_run_to_see_a_shape() -> None:
    """A step without memory takes a millisecond: a file that claims a million of them would hang."""
    arguments = {"units": 3, "activation": "tanh", "recurrent_activation": "hard_sigmoid"}
    ref = TensorRef("given")
    layers = (
        Layer("given", "InputLayer", None, {"batch_shape": [None, 1_000_000, 4]}),
        Layer("lstm", "LSTM", None, {**arguments, "return_sequences": True}),
        Layer("both", "Bidirectional", None, {}, wrapped=Layer("inner", "LSTM", None, arguments)),
    )
    calls = (Call("lstm", 0, (ref,), {}, (ref,)), Call("both", 0, (), {}, (TensorRef("lstm"),)))
    graph = Graph("model", "Functional", layers, calls, (ref,), (TensorRef("both"),))
    start = time.monotonic()
    (output,) = program_of(graph, PROFILES["keras3"]).outputs
    assert output.shape == (None, 6)
    assert time.monotonic() - start < 5


def facts() -> Facts:
    """What the cases prove, from the files that Keras wrote of them."""
    found = Facts()
    for family in FAMILIES:
        for profile in PROFILES:
            for dtype in DTYPES:
                asked = answers(family, profile, dtype)
                for case in cases_for(family, profile, dtype):
                    for path in asked.files(case)[:1]:
                        graph = read_keras_file(path).graph
                        found.add(family, case, profile, program_of(graph, PROFILES[profile]))
    return found


@pytest.mark.keras
def test_every_rule_is_proven_and_the_page_says_so(request: pytest.FixtureRequest) -> None:
    found = facts()
    assert set(RULES) - set(found.rows) == set()
    written = page(found, REFUSALS, {**TOLERANCE, "rounded": ROUNDED})
    if request.config.getoption("--write-pages"):
        write_text_atomically(PAGE, written)
    assert PAGE.read_text(encoding="utf-8") == written
