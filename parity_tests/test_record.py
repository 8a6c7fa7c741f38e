"""The recorder: old Python's syntax, frozen drawing, one-line errors, nothing half-written."""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

from keras_reference import record
from parity_common.command_errors import UserError
from porting.__main__ import main
from porting.trace import Trace

RECORDER = REPOSITORY / "keras_reference" / "record.py"

# What a team's models may look like, and a model of each kind that is refused.
TEAM_MODELS = """
import numpy as np

def branched(keras):
    layers = keras.layers
    images = keras.Input((9, 7, 3), name="images")
    left = layers.Conv2D(4, 3, padding="same", name="left")(images)
    right = layers.Conv2D(4, 1, name="right")(images)
    x = layers.Add(name="add")([left, right])
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dense(5, name="head")(x)
    return keras.Model(images, x, name="branched")

def frozen(keras):
    model = branched(keras)
    model.get_layer("left").trainable = False
    return model

def shapeless(keras):
    return keras.Sequential([keras.layers.Conv2D(2, 3, name="conv"), keras.layers.Flatten(name="flatten")])

def open_sided(keras):
    images = keras.Input((None, None, 3), name="images")
    return keras.Model(images, keras.layers.GlobalMaxPooling2D(name="most")(images))

def nested(keras):
    return keras.Sequential([keras.Input((9, 7, 3)), branched(keras)])

def shared(keras):
    images = keras.Input((8,), name="images")
    dense = keras.layers.Dense(8, name="dense")
    return keras.Model(images, dense(dense(images)))

def subclassed(keras):
    class Mine(keras.Model):
        def call(self, images):
            return images
    return Mine()

def words(keras):
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    return keras.Model(tokens, keras.layers.Embedding(10, 4, name="embedding")(tokens))

def no_model():
    return 3

def broken(keras):
    return keras.layers.Nothing()

def demanding(keras, classes):
    return None
"""

KERAS_NEEDING_FAULTS = {
    "missing": "has no function missing (it has branched, frozen,",
    "shapeless": "the model states no input shape: give --input-shape",
    "open_sided": "input images has axes of unknown length [None, None, 3]: give --input-shape",
    "nested": 'layer "branched" is a model of its own',
    "shared": 'layer "dense" is called 2 times',
    "subclassed": "a subclassed model has no layer graph",
    "words": "input tokens is int32: only floating inputs are recorded yet",
    "no_model": "the function returned builtins.int, not a model of",
    "broken": "the function failed: AttributeError",
    "demanding": "the function requires keras, classes",
}

# Drawn with numpy 2.4; RandomState's stream never changes, and nothing here asks the C library.
PINNED_UNIFORM = [[0.5476942205754525, 0.053412888814644344], [0.26107716709257434, 0.2132640180582428]]
PINNED_GAMMA = [0.7289447863707414, 1.3631934873659097, 1.3685870833810638]
PINNED_KERNEL_SHA256 = "e3e2e319c1b60062dca0419438818188f75678e133e4fc513acc96a51ea497ac"
PINNED_PLACES = [107, 565, 737, 749]

# One import of Keras for all: prints {case: the error}, one line of JSON, last.
DRIVER = """
import json, sys
from keras_reference import record
errors = {}
for case, arguments in json.loads(sys.argv[1]).items():
    try:
        record.run(arguments)
        errors[case] = ""
    except record.RecordError as error:
        errors[case] = str(error)
print(json.dumps(errors))
"""


@pytest.fixture(scope="module")
def team(
    keras_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, str]]]:
    """Under each profile: the folder of the traces, and the error of each case."""
    folder = tmp_path_factory.mktemp("team")
    path = folder / "team_models.py"
    path.write_text(TEAM_MODELS, encoding="utf-8")
    children = {}
    for profile in record.PROFILES:
        out = folder / profile
        cases = {
            name: [f"--model={path}:{name}", f"--profile={profile}", f"--out={out / name}"]
            for name in ("branched", "frozen", *KERAS_NEEDING_FAULTS)
        }
        sized = [f"--model={path}:shapeless", f"--profile={profile}", "--input-shape=9,7,3"]
        cases["sized"] = [*sized, f"--out={out / 'sized'}"]
        open_sided = [f"--model={path}:open_sided", f"--profile={profile}", "--input-shape=5x4x3"]
        cases["opened"] = [*open_sided, f"--out={out / 'opened'}"]
        cases["misfit"] = [*open_sided[:2], "--input-shape=5x4x2", f"--out={out / 'misfit'}"]
        own = ["--weights=model", "--keep=full", "--dtype=float64", "--batch=3"]
        cases["own"] = [*cases["branched"][:2], *own, f"--out={out / 'own'}"]
        cases["sampled"] = [*cases["branched"][:2], "--keep=20", f"--out={out / 'sampled'}"]
        children[profile] = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(cases)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    found = {}
    for profile, child in children.items():
        output, errors = child.communicate()
        assert child.returncode == 0, errors
        found[profile] = (folder / profile, json.loads(output.splitlines()[-1]))
    return found


def test_source_is_python_3_7() -> None:
    tree = ast.parse(RECORDER.read_text(encoding="utf-8"), feature_version=(3, 7))
    # Annotations are evaluated when a function is defined: list[int] would fail there, unseen by the parser.
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation]


@pytest.mark.parametrize("newer", ["if (n := 1): pass", "def f(a, /): pass", "match 1:\n    case _: pass"])
def test_newer_syntax_would_be_noticed(newer: str) -> None:
    with pytest.raises(SyntaxError):
        ast.parse(newer, feature_version=(3, 7))


@pytest.mark.process
def test_importing_the_recorder_costs_numpy_only() -> None:
    code = "import sys, keras_reference.record; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["keras", "tf_keras", "tensorflow", "torch", "parity_common", "numpy"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['numpy']"


def test_drawn_numbers_are_pinned() -> None:
    uniform = record.draw(record.input_rule(record.INPUT_RANGE), 0, "input/images", (2, 2), "float64")
    assert uniform.tolist() == PINNED_UNIFORM
    away = record.draw(record.weight_rule("gamma", (3,)), 7, "weights/bn1/gamma", (3,), "float64")
    assert away.tolist() == PINNED_GAMMA
    kernel = record.draw(
        record.weight_rule("kernel", (3, 3, 3, 32)), 0, "weights/c/kernel", (3, 3, 3, 32), "float32"
    )
    assert record.checksum(kernel) == PINNED_KERNEL_SHA256
    assert record.sampled_places(0, "activation/conv1", 1000, 4).tolist() == PINNED_PLACES


def test_kernels_have_the_variance_of_he() -> None:
    rule = record.weight_rule("kernel", (3, 3, 64, 128))
    kernel = record.draw(rule, 0, "weights/conv/kernel", (3, 3, 64, 128), "float64")
    assert kernel.var() == pytest.approx(2 / (3 * 3 * 64), rel=0.02)
    assert record.weight_rule("depthwise_kernel", (3, 3, 64, 1))["high"] == pytest.approx((6 / 9) ** 0.5)
    in_keras3 = record.weight_rule("kernel", (3, 3, 64, 1), is_depthwise=True)
    assert in_keras3["high"] == pytest.approx((6 / 9) ** 0.5)


def test_input_range_is_two_numbers_in_order() -> None:
    assert record.value_range("0,255") == [0.0, 255.0]
    for text in ("255,0", "1,1"):
        with pytest.raises(argparse.ArgumentTypeError, match="the lower number comes first"):
            record.value_range(text)


@pytest.mark.parametrize("name", ["bias", "gamma", "beta", "moving_mean", "moving_variance"])
def test_no_drawn_statistic_is_zero_or_one(name: str) -> None:
    drawn = record.draw(record.weight_rule(name, (1000,)), 0, f"weights/bn/{name}", (1000,), "float32")
    assert np.abs(drawn).min() > 0.01
    assert np.abs(drawn - 1).min() > 0.01
    assert len(np.unique(drawn)) > 990
    if name == "moving_variance":
        assert drawn.min() > 0.3


def test_each_array_has_its_own_stream() -> None:
    rule = record.input_rule(record.INPUT_RANGE)
    first = record.draw(rule, 0, "a", (5,), "float64")
    record.draw(rule, 0, "b", (5,), "float64")
    assert np.array_equal(record.draw(rule, 0, "a", (5,), "float64"), first)
    assert not np.array_equal(record.draw(rule, 0, "b", (5,), "float64"), first)
    assert not np.array_equal(record.draw(rule, 1, "a", (5,), "float64"), first)


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --model, --out (see --help)"),
        (["--model=model.h5", "--out=new"], "--model model.h5: model files are not read yet"),
        (["--model=model.keras", "--out=new"], "--model model.keras: model files are not read yet"),
        (["--model=no_function", "--out=new"], "expected package.module:function or path/file.py:function"),
        (["--model=a:b", "--out=full"], "full exists and is not an empty folder: remove it, or name another"),
        (
            ["--model=a:b", "--model=x/a.py:b", "--out=new"],
            "two traces would be written to new/a-b-tf2.4-float32",
        ),
        (["--model=a:b", "--out=new", "--batch=1"], "argument --batch: 1 is not in 2 ... 2**32 - 1"),
        (["--model=a:b", "--out=new", "--dtype=float16"], "argument --dtype: invalid choice: 'float16'"),
        (["--model=a:b", "--out=new", "--input-shape=wide"], "argument --input-shape: invalid"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    command = [sys.executable, str(RECORDER), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == record.EXIT_BAD_INPUT
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "nowhere.at_all:build",
            "cannot import nowhere.at_all: ModuleNotFoundError: No module named 'nowhere'",
        ),
        ("absent.py:build", "there is no file absent.py"),
        ("wrong.py:build", "cannot import wrong.py: SyntaxError"),
    ],
)
def test_model_that_cannot_be_loaded_is_one_line(
    tmp_path: Path, spec: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("wrong.py").write_text("def build(:\n", encoding="utf-8")
    with pytest.raises(record.RecordError) as caught:
        record.load_builder(spec)
    assert message in str(caught.value)


@pytest.mark.parametrize("profile", record.PROFILES)
def test_refused_models_are_one_line_and_leave_nothing(
    team: dict[str, tuple[Path, dict[str, str]]], profile: str
) -> None:
    folder, errors = team[profile]
    for case, message in KERAS_NEEDING_FAULTS.items():
        assert message in errors[case], case
        assert "\n" not in errors[case]
    assert "does not fit input images" in errors["misfit"]
    assert {path.name for path in folder.iterdir()} == {
        "branched",
        "frozen",
        "sized",
        "opened",
        "own",
        "sampled",
    }


@pytest.mark.parametrize("profile", record.PROFILES)
def test_functional_model_is_recorded(team: dict[str, tuple[Path, dict[str, str]]], profile: str) -> None:
    folder, errors = team[profile]
    assert errors["branched"] == ""
    trace = Trace(folder / "branched")
    assert [layer.name for layer in trace.layers] == ["left", "right", "add", "average", "head"]
    assert trace.outputs == ["head"]
    left, right = trace.array("activation/left"), trace.array("activation/right")
    assert np.array_equal(trace.array("activation/add"), left + right)
    frozen = Trace(folder / "frozen").layer("left")
    assert (frozen.trainable_parameters, frozen.non_trainable_parameters) == (0, 3 * 3 * 3 * 4 + 4)


@pytest.mark.parametrize("profile", record.PROFILES)
def test_recorded_weights_are_those_keras_ran_with(
    team: dict[str, tuple[Path, dict[str, str]]], profile: str
) -> None:
    """numpy alone makes the activation of a dense layer from the trace's input and weights."""
    for case, tolerance in (("branched", 5e-6), ("own", 1e-14)):
        trace = Trace(team[profile][0] / case)
        head = trace.array("activation/average") @ trace.weights["head/kernel"] + trace.weights["head/bias"]
        assert np.abs(head - trace.array("activation/head")).max() < tolerance
        right = (
            trace.array("input/images") @ trace.weights["right/kernel"][0, 0] + trace.weights["right/bias"]
        )
        assert np.abs(right - trace.array("activation/right")).max() < tolerance


@pytest.mark.parametrize("profile", record.PROFILES)
def test_own_weights_are_kept_in_full(team: dict[str, tuple[Path, dict[str, str]]], profile: str) -> None:
    trace = Trace(team[profile][0] / "own")
    assert {entry["stored"] for name, entry in trace.entries.items() if name.startswith("weights/")} == {
        "full"
    }
    assert trace.weights["left/kernel"].dtype == np.float64
    assert trace.input_shapes == [(3, 9, 7, 3)]
    # Keras starts its biases at zero; drawn ones never are.
    assert not trace.weights["left/bias"].any()


@pytest.mark.parametrize("profile", record.PROFILES)
def test_sampled_activation_is_part_of_the_whole(
    team: dict[str, tuple[Path, dict[str, str]]], profile: str
) -> None:
    whole = Trace(team[profile][0] / "branched").array("activation/add")
    trace = Trace(team[profile][0] / "sampled")
    kept = trace.kept("activation/add")
    assert kept.shape == (2, 10)
    assert np.array_equal(trace.keep_same("activation/add", whole), kept)
    for index in np.ndindex(kept.shape):
        assert whole[trace.place_of("activation/add", index)] == kept[index]


@pytest.mark.parametrize("profile", record.PROFILES)
def test_input_shape_completes_a_model(team: dict[str, tuple[Path, dict[str, str]]], profile: str) -> None:
    folder, _ = team[profile]
    assert Trace(folder / "sized").layer("conv").output_shape == (None, 7, 5, 2)
    assert Trace(folder / "opened").input_shapes == [(2, 5, 4, 3)]


def test_interrupted_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(path: str, **arrays: np.ndarray) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(record.RecordError, match=r"cannot write .*No space left"):
        record.write_trace(str(tmp_path / "out"), {}, {})
    assert list(tmp_path.iterdir()) == []


def test_writing_never_replaces_a_full_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    record.write_trace(str(tmp_path / "out"), {"schema": 1}, {})
    before = (tmp_path / "out" / record.TRACE_FILE).read_text(encoding="utf-8")
    with pytest.raises(record.RecordError, match="cannot write"):
        record.write_trace(str(tmp_path / "out"), {"schema": 2}, {})
    assert (tmp_path / "out" / record.TRACE_FILE).read_text(encoding="utf-8") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_porting_record_runs_the_recorder_as_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []

    def run(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 2)

    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(subprocess, "run", run)
    words = ["--model=a:b", "--keras", "tf_keras", "--out", "new"]
    assert main(["record", *words]) == 2
    assert main(["record", "--keras-python", "old/python", *words]) == 2
    assert commands == [
        [python, "keras_reference/record.py", *words] for python in (sys.executable, "old/python")
    ]


@pytest.mark.process
def test_porting_record_without_its_python_is_one_line() -> None:
    with pytest.raises(UserError, match="--keras-python nowhere/python cannot be run"):
        main(["record", "--keras-python", "nowhere/python", "--model=a:b", "--out=new"])
