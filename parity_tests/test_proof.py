"""A converted file held against Keras: it holds where it should, and a fault is found in its own layer."""

from __future__ import annotations

import ast
import json
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from keras_reference import record_file
from lightning_impl.keras_semantics.profile import PROFILES
from parity_common.command_errors import UserError
from parity_tests import proof_cases
from parity_tests.headless_chromium import INSTALLED, chromium
from parity_tests.keras_oracle import ask_keras
from parity_tests.proof_cases import (
    CASES,
    FORMATS,
    MORE_FORMATS,
    Recorded,
    Whole,
    recorded,
    with_fault,
    written,
)
from porting.keras_file import KerasFile, read_keras_file
from porting.program import Program, program_of
from porting.proof import Proof, prove
from porting.proof.interpreters import NoKeras, packages_for, record
from porting.proof.prove import verdict
from porting.proof.recording import Recording
from porting.proof.report import proof_json, proof_page
from porting.proof.residuals import FORWARD, allowed
from porting.proof.verdict import GRADIENTS, LAYERS, OUTPUTS, RUNGS, STRUCTURE, WEIGHTS

pytestmark = pytest.mark.xdist_group("proof")


def proven(case: Recorded) -> Proof:
    return verdict(case.port, case.recording, [])


def faulty(case: Recorded, layer: str, fault: Callable) -> Proof:
    return proven(replace(case, program=with_fault(case.program, layer, fault)))


def parting(proof: Proof, rung: str) -> list[str]:
    return [line.name for line in proof.of(rung) if not line.holds]


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "profile", "ending"),
    [
        *((name, *each) for name in CASES for each in FORMATS),
        *(("sequential", *each) for each in MORE_FORMATS),
    ],
)
def test_port_equals_keras(name: str, profile: str, ending: str) -> None:
    case = recorded(name, profile, ending)
    proof = proven(case)
    assert proof.holds, proof.line
    assert proof.why_not is None
    assert proof.first is None
    assert {line.rung for line in proof.lines} == set(RUNGS)
    assert case.recording.dtypes == ["float32", "float64"], case.recording.said["no_float64"]
    for line in proof.of(LAYERS):
        assert set(line.figures) == {
            f"{dtype} {batch}" for dtype in ("float32", "float64") for batch in ("random", "extreme")
        }
    # Round-off alone is left; of a sigmoid of -200 that is more.
    assert proof.largest(LAYERS, "float64") < 2e-13
    assert 0 < proof.largest(LAYERS, "float32 random") < 1e-5
    assert proof.largest(GRADIENTS, "float64") < 1e-12
    assert case.recording.said["spread"] > record_file.LEAST_SPREAD


@pytest.mark.keras
def test_calls_of_shared_layers_have_their_own_lines() -> None:
    proof = proven(recorded("functional", "keras3", "keras"))
    names = [line.name for line in proof.of(LAYERS)]
    assert len(set(names)) == len(names)
    assert {"shared", "shared#1", "shared#2", "inner", "inner#1"} <= set(names)
    # The model in the model in the model: four calls in all.
    deep = [name for name in names if name.endswith("deep_conv")]
    assert sorted(deep) == [
        "inner#1/deep#1/deep_conv",
        "inner#1/deep/deep_conv",
        "inner/deep#1/deep_conv",
        "inner/deep/deep_conv",
    ]
    gradients = {line.name for line in proof.of(GRADIENTS)}
    assert {"inner/deep/deep_conv/kernel", "shared/bias", "inner/inner_bn/gamma"} <= gradients
    assert {"input image", "input vector", "input image, converted model"} <= gradients


@pytest.mark.keras
@pytest.mark.parametrize("profile", ["tf2.4", "keras3"])
def test_whole_numbers_and_layers_in_layers_are_recorded(profile: str) -> None:
    path = written("tokens", profile, "keras")
    recording = Recording(path.parent / "recording")
    # A layer in a layer is part of it.
    assert [call["name"] for call in recording.calls] == ["embedding", "both_ways", "each_step", "gru"]
    (tokens,) = recording.inputs("random")
    assert set(tokens.ravel()) <= set(range(7))
    assert len(set(tokens.ravel())) > 3
    assert recording.input_gradient("float32", 0) is None
    weights = recording.layers["both_ways",]["weights"]
    assert len(weights) == 6
    for dtype in ("float32", "float64"):
        for number in range(6):
            gradient = recording.gradient(dtype, ("both_ways",), number)
            assert gradient is not None
            assert gradient.any()


@pytest.mark.keras
def test_float64_is_held_to_float32_where_keras_computes_in_float32() -> None:
    case = recorded("resized", "keras3", "keras")
    proof = proven(case)
    assert proof.holds, proof.line
    allowed_there = {line.name: line.figures["float64 random"].allowed for line in proof.of(LAYERS)}
    assert allowed_there == {"before": 1e-9, "up": 1e-6, "behind": 1e-6, "mean": 1e-6}
    assert proof.largest(LAYERS, "float64") > 1e-9
    assert any('computes "up", or its constants, in float32' in note for note in proof.notes)
    assert faulty(case, "behind", proof_cases.transposed_kernel).first.name == "behind"


@pytest.mark.keras
@pytest.mark.parametrize("profile", ["tf2.4", "keras3"])
def test_mixed_precision_is_compared_in_float32(profile: str) -> None:
    case = recorded("mixed", profile, "keras")
    proof = proven(case)
    assert proof.holds, proof.line
    # float16 would be off by 1e-3.
    assert proof.largest(LAYERS, "float32") < 5e-6
    assert any("compute in float16" in note for note in proof.notes)


FAULTS = (
    ("sequential", "conv", proof_cases.transposed_kernel),
    ("sequential", "conv", proof_cases.symmetric_padding),
    ("sequential", "bn", proof_cases.other_epsilon),
    ("functional", "left", proof_cases.transposed_kernel),
    ("functional", "both", proof_cases.swapped_branches),
    ("functional", "inner_bn", proof_cases.other_epsilon),
    ("functional", "deep_conv", proof_cases.transposed_kernel),
)


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "layer", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_fault_is_found_in_its_layer(name: str, layer: str, fault: Callable) -> None:
    proof = faulty(recorded(name, "tf2.4", "h5"), layer, fault)
    assert not proof.holds
    assert proof.first is not None
    assert proof.first.rung == LAYERS
    assert proof.first.name.split("/")[-1] == layer
    assert f'"{proof.first.name}"' in proof.line
    # In float32 as well as in float64: an environment may have no float64.
    assert not proof.first.figures["float32 random"].holds
    assert not proof.first.figures["float64 random"].holds
    assert parting(proof, STRUCTURE) == parting(proof, WEIGHTS) == []
    assert parting(proof, OUTPUTS)


@pytest.mark.keras
def test_fault_of_the_gradient_alone_is_found() -> None:
    proof = faulty(recorded("functional", "keras3", "h5"), "add", proof_cases.cut_gradient)
    assert parting(proof, LAYERS) == parting(proof, OUTPUTS) == []
    assert "mixed/kernel" in parting(proof, GRADIENTS)
    assert "first/kernel" not in parting(proof, GRADIENTS)


@pytest.mark.keras
def test_fault_of_the_converted_model_alone_is_found() -> None:
    case = recorded("sequential", "keras3", "keras")

    class WithoutSoftmax(Whole):
        def forward(self, *inputs: Tensor) -> Tensor:
            return super().forward(*inputs).log()

    proof = verdict(replace(case.port, converted=WithoutSoftmax(case.file, case.program)), case.recording, [])
    assert parting(proof, LAYERS) == []
    assert [line.kind for line in proof.of(OUTPUTS) if not line.holds] == ["converted model"]
    assert (
        parting(proof, GRADIENTS) == ["input input_layer, converted model"]
        or len(parting(proof, GRADIENTS)) == 1
    )


@pytest.mark.keras
def test_converted_model_may_give_logits() -> None:
    case = recorded("sequential", "keras3", "keras")

    class Logits(Whole):
        def forward(self, *inputs: Tensor) -> Tensor:
            return super().forward(*inputs).log()

        def probabilities(self, *inputs: Tensor) -> Tensor:
            return self(*inputs).softmax(1)

    proof = verdict(replace(case.port, converted=Logits(case.file, case.program)), case.recording, [])
    assert proof.holds, proof.line


@pytest.mark.keras
def test_weights_of_another_layer_are_found() -> None:
    case = recorded("functional", "tf2.4", "keras")
    arrays = {**case.file.weights, ("left",): case.file.weights["right",]}
    proof = proven(replace(case, file=replace(case.file, weights=arrays)))
    assert proof.first is not None
    assert (proof.first.rung, proof.first.name) == (WEIGHTS, "left")


@pytest.mark.keras
def test_layers_that_keras_does_not_have_are_found() -> None:
    case = recorded("sequential", "tf2.4", "h5")
    named = tuple(replace(layer, name=f"{layer.name}_2") for layer in case.file.graph.layers)
    lines = proven(replace(case, file=replace(case.file, graph=replace(case.file.graph, layers=named)))).of(
        STRUCTURE
    )
    assert {line.fault for line in lines} == {"the port has no such layer", "Keras has no such layer"}


@pytest.mark.keras
def test_what_the_port_raises_is_said() -> None:
    case = recorded("sequential", "tf2.4", "h5")

    class Broken(Whole):
        def forward(self, *inputs: Tensor) -> Tensor:
            raise RuntimeError("no such\nthing")

    proof = verdict(replace(case.port, converted=Broken(case.file, case.program)), case.recording, [])
    assert "the port raises RuntimeError: no such thing" in proof.line


def test_allowed_grows_with_kerass_own_error_only() -> None:
    assert allowed("float32", None, "forward") == allowed("float32", 1e-7, "forward") == FORWARD["float32"]
    assert allowed("float32", 1e-4, "forward") == pytest.approx(4e-4)
    assert allowed("float64", 1e-4, "forward") == FORWARD["float64"]
    assert allowed("float32", float("inf"), "forward") == FORWARD["float32"]


# --- From the file to the report --------------------------------------------------------------------------


def read(path: Path, profile: str) -> tuple[KerasFile, Program]:
    file = read_keras_file(path)
    return file, program_of(file.graph, PROFILES[profile])


@pytest.mark.keras
def test_prove_runs_keras_and_writes_its_report(tmp_path: Path) -> None:
    file, program = read(written("sequential", "tf2.4", "h5"), "tf2.4")
    proof = prove(file, program, Whole(file, program), out=tmp_path)
    assert proof.holds, proof.line
    assert proof.keras.startswith("tf_keras 2.")
    assert proof.line.startswith(f"equal to {proof.keras} in inference: 6 layers; 6 activations within ")
    said = json.loads((tmp_path / "proof.json").read_text())
    assert said["holds"] is True
    assert said["line"] == proof.line
    assert len(said["lines"]) == len(proof.lines)
    page = (tmp_path / "proof.html").read_text()
    assert "Equal to Keras in inference" in page
    assert "http" not in page.replace("http-equiv", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["proof.html", "proof.json"]


@pytest.mark.keras
def test_other_generation_is_tried_next(tmp_path: Path) -> None:
    file, program = read(written("sequential", "keras3", "keras"), "keras3")
    assert packages_for(file, ["tf_keras", "keras"]) == ["keras", "tf_keras"]
    assert packages_for(replace(file, keras_version="2.4.0"), ["keras", "tf_keras"]) == ["tf_keras", "keras"]
    assert packages_for(file, ["tensorflow"]) == ["tensorflow.keras"]
    proof = prove(file, program, out=tmp_path, keras="tf_keras")
    assert not proof.holds
    assert proof.why_not is not None
    assert proof.why_not.startswith("no Keras here runs it (tf_keras: tf_keras 2.")
    assert "--keras-python" in proof.why_not
    assert "Nothing was proven" in (tmp_path / "proof.html").read_text()


@pytest.mark.keras
def test_without_keras_nothing_is_proven(tmp_path: Path) -> None:
    file, program = read(written("sequential", "keras3", "keras"), "keras3")
    python = tmp_path / "python"
    # Without its site-packages an interpreter has no Keras.
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    proof = prove(file, program, out=tmp_path, keras_python=str(python))
    assert not proof.holds
    assert proof.line.startswith(f"nothing was proven: {python} has no Keras: install one")
    assert json.loads((tmp_path / "proof.json").read_text())["why_not"] == proof.why_not


@pytest.mark.keras
@pytest.mark.parametrize("python", ["/no/such/python", "/bin/true"])
def test_interpreter_that_is_none_is_refused(python: str, tmp_path: Path) -> None:
    file, program = read(written("sequential", "keras3", "keras"), "keras3")
    with pytest.raises(UserError, match=f"--keras-python {python}"):
        prove(file, program, out=tmp_path, keras_python=python)
    assert list(tmp_path.iterdir()) == []


# --- Code in files ----------------------------------------------------------------------------------------


@pytest.mark.keras
def test_lambda_is_not_run_without_trust(tmp_path: Path) -> None:
    path, touched = tmp_path / "code.h5", tmp_path / "touched"
    ask_keras("proof.write_lambda", "tf2.4", path=str(path), touched=str(touched))
    file = read_keras_file(path)
    with pytest.raises(NoKeras, match=r'holds code: "code" \(Lambda\).*--trust-code'):
        record(file, tmp_path / "recording")
    assert not touched.exists()
    # With it, it is: the file that it makes would have been seen.
    attempts = record(file, tmp_path / "recording", trust_code=True)
    assert [(attempt.package, attempt.reason) for attempt in attempts] == [("tf_keras", "")]
    assert touched.exists()


HARMLESS = {"class_name": "Dense", "config": {"name": "dense", "activation": "relu"}}


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        ({"class_name": "Lambda", "config": {"name": "a"}}, '"a" (Lambda)'),
        (
            {"class_name": "Dense", "config": {"name": "a", "activation": {"class_name": "__lambda__"}}},
            "__lambda__",
        ),
        ({"class_name": "mine>Net", "config": {"name": "a"}}, '"a" (mine>Net)'),
        ({"class_name": "Net", "module": "os.path", "config": {"name": "a"}}, '"a" (os.path>Net)'),
        ({"class_name": "Net", "registered_name": "mine>Net", "config": {"name": "a"}}, '"a" (mine>Net)'),
        (
            {"class_name": "TFOpLambda", "config": {"name": "a", "function": "io.write_file"}},
            "tf.io.write_file",
        ),
        ({"class_name": "TensorFlowOpLayer", "config": {"name": "a"}}, "TensorFlowOpLayer"),
        (
            {"class_name": "TimeDistributed", "config": {"name": "a", "layer": {"class_name": "Lambda"}}},
            "Lambda",
        ),
    ],
)
def test_code_is_seen_before_keras_is_loaded(layer: dict, named: str) -> None:
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [HARMLESS, layer]}}
    (found,) = record_file.code_in(model)
    assert named in found


def test_harmless_layers_are_no_code() -> None:
    call = {"class_name": "TFOpLambda", "config": {"name": "tf.nn.relu", "function": "nn.relu"}}
    plus = {"class_name": "TFOpLambda", "config": {"name": "plus", "function": "__operators__.add"}}
    new = {"class_name": "Dense", "module": "keras.layers", "registered_name": None, "config": {"name": "d"}}
    # What compile() was given is not loaded.
    model = {"class_name": "Model", "config": {"layers": [HARMLESS, call, plus, new]}}
    assert record_file.code_in({**model, "compile_config": {"loss": {"class_name": "mine>Loss"}}}) == []


def test_recorder_keeps_to_the_syntax_and_imports_of_old_environments() -> None:
    tree = ast.parse(Path(record_file.__file__).read_text(), feature_version=(3, 7))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy", "tensorflow", "h5py"}


# --- The page ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proofs() -> dict[str, tuple[KerasFile, Proof]]:
    case = recorded("functional", "tf2.4", "h5")
    nothing = Proof(why_not="there is no <Keras> here: install one")
    parts = faulty(case, "left", proof_cases.transposed_kernel)
    hostile = replace(parts, lines=(*parts.lines, replace(parts.lines[-1], name="<script>" * 30)))
    return {
        "holds": (case.file, proven(case)),
        "parts": (case.file, hostile),
        "nothing": (case.file, nothing),
    }


@pytest.mark.keras
def test_page_says_what_parts_and_escapes_names(proofs: dict[str, tuple[KerasFile, Proof]]) -> None:
    page = proof_page(*proofs["parts"])
    assert page.count("first to part") == 1
    assert "<script>" not in page
    assert "Parts from Keras" in page
    assert "&lt;Keras&gt;" in proof_page(*proofs["nothing"])
    said = json.loads(proof_json(*proofs["parts"]))
    assert said["first"] == "left"
    assert said["holds"] is False


@pytest.mark.keras
@pytest.mark.process
@pytest.mark.skipif(not INSTALLED, reason="no chromium and chromedriver on this machine")
@pytest.mark.parametrize("width", [1280, 390])
def test_page_keeps_to_the_window_and_to_itself(
    width: int, proofs: dict[str, tuple[KerasFile, Proof]], tmp_path: Path
) -> None:
    with chromium(tmp_path / "profile") as browser:
        for name, (file, proof) in proofs.items():
            page = tmp_path / f"{name}.html"
            page.write_text(proof_page(file, proof), encoding="utf-8")
            colours = []
            for dark in (False, True):
                browser.show(page, width, dark)
                root = "document.documentElement"
                assert browser.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0
                colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert colours[0] != colours[1]
            assert browser.console() == []
            assert browser.addresses() == [page.resolve().as_uri()] * 2
