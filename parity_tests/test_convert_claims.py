"""What a conversion says of itself: README, console and model.py claim what is in the folder, and no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from parity_common.command_errors import UserError
from parity_tests.keras_file_makers import write_h5
from parity_tests.test_inspect import functional, layer
from porting.__main__ import main
from porting.proof import steps
from porting.proof.residuals import Figure
from porting.proof.verdict import GRADIENTS, LAYERS, STRUCTURE, Line, Proof
from porting.replay import load_port

Run = Callable[[Path, Path], str]
ADAM = {"class_name": "Adam", "config": {"name": "Adam", "learning_rate": 0.001}}
TRAINING = {"optimizer_config": ADAM, "loss": "binary_crossentropy", "metrics": ["accuracy"]}
CONV = {"filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "activation": "sigmoid"}
CONV_WEIGHTS = {"conv/kernel:0": (3, 3, 3, 2), "conv/bias:0": (2,)}
DENSE_WEIGHTS = {"dense/kernel:0": (4, 3), "dense/bias:0": (3,)}


def vector(name: str) -> dict[str, Any]:
    return layer("InputLayer", name, batch_input_shape=[None, 4])


def image_model() -> tuple[dict[str, Any], dict[str, Any], str]:
    image = layer("InputLayer", "image", batch_input_shape=[None, 6, 8, 3])
    config = functional(image, layer("Conv2D", "conv", "image", **CONV))
    return config, {"conv": CONV_WEIGHTS}, "gives `(N, 2, 6, 8)`"


def two_inputs() -> tuple[dict[str, Any], dict[str, Any], str]:
    add = layer("Add", "add", "left", "right")
    dense = layer("Dense", "dense", "add", units=3, activation="softmax")
    config = functional(vector("left"), vector("right"), add, dense)
    config["config"]["input_layers"].append(["right", 0, 0])
    return config, {"dense": DENSE_WEIGHTS}, "has 2 inputs"


def two_outputs() -> tuple[dict[str, Any], dict[str, Any], str]:
    dense = layer("Dense", "dense", "given", units=3, activation="softmax")
    config = functional(vector("given"), layer("ReLU", "relu", "given"), dense)
    config["config"]["output_layers"].append(["relu", 0, 0])
    return config, {"dense": DENSE_WEIGHTS}, "has 2 outputs"


@pytest.mark.process
@pytest.mark.parametrize("made", [image_model, two_inputs, two_outputs])
def test_training_that_is_not_written_is_not_claimed(made: Any, run: Run, tmp_path: Path) -> None:
    config, weights, why = made()
    path = write_h5(tmp_path / "net.h5", config, weights, training_config=TRAINING)
    printed = run(path, tmp_path / "out")
    names = {each.name for each in (tmp_path / "out").iterdir()}
    readme = (tmp_path / "out" / "README.md").read_text()
    assert not {"lightning_module.py", "optimizer.safetensors"} & names
    assert "optimizer.safetensors" not in readme
    assert "Nothing that the file holds" not in readme
    assert carried(readme) == [
        f"{1 if made is image_model else 2} layer{'s' * (made is not image_model)}, every weight."
    ]
    (said,) = not_carried(readme)
    assert said.startswith(
        "The training: the optimizer Adam, the loss binary_crossentropy. No `lightning_module.py`"
    )
    assert f"one output `(N, C)`, and this one {why}." in said
    assert f"not carried over: {said}" in printed.splitlines()


@pytest.mark.process
def test_training_that_is_written_is_claimed(run: Run, tmp_path: Path) -> None:
    dense = layer("Dense", "dense", "given", units=3, activation="softmax")
    config = functional(vector("given"), dense)
    training = {**TRAINING, "loss": "sparse_categorical_crossentropy"}
    path = write_h5(tmp_path / "net.h5", config, {"dense": DENSE_WEIGHTS}, training_config=training)
    printed = run(path, tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text()
    assert (tmp_path / "out" / "lightning_module.py").is_file()
    assert carried(readme)[1:] == ["The loss: CategoricalCrossentropy.", "The optimizer: adam, tf2.4."]
    # A sentence with a subject, and no advice for another command.
    state = "The optimizer's state: the file holds none. The optimizer begins anew."
    assert not_carried(readme) == [state]
    assert f"not carried over: {state}" in printed


@pytest.mark.process
@pytest.mark.parametrize("loss", ["", None, []])
def test_loss_that_compile_was_not_given_is_said_so(loss: object, run: Run, tmp_path: Path) -> None:
    dense = layer("Dense", "dense", "given", units=3, activation="softmax")
    training = {**TRAINING, "loss": loss}
    config = functional(vector("given"), dense)
    path = write_h5(tmp_path / "net.h5", config, {"dense": DENSE_WEIGHTS}, training_config=training)
    said = "The loss: compile() was given none. It is an argument of the training."
    assert f"not carried over: {said}" in run(path, tmp_path / "out").splitlines()
    assert said in not_carried((tmp_path / "out" / "README.md").read_text())


@pytest.mark.process
def test_augmentation_in_the_model_is_said_everywhere(run: Run, tmp_path: Path) -> None:
    image = layer("InputLayer", "image", batch_input_shape=[None, 6, 8, 3])
    flip = layer("RandomFlip", "flip", "image", mode="horizontal")
    height = layer("RandomHeight", "height", "flip", factor=0.2)
    mean = layer("GlobalAveragePooling2D", "mean", "height", data_format="channels_last")
    dense = layer("Dense", "dense", "mean", units=3, activation="softmax")
    training = {**TRAINING, "loss": "sparse_categorical_crossentropy"}
    weights = {"dense": {"dense/kernel:0": (3, 3), "dense/bias:0": (3,)}}
    path = write_h5(
        tmp_path / "net.h5", functional(image, flip, height, mean, dense), weights, training_config=training
    )
    printed = run(path, tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text()
    assert (
        "In Keras flip, height augment in training; here they do nothing."
        in (tmp_path / "out" / "model.py").read_text()
    )
    for said in not_carried(readme):
        assert f"not carried over: {said}" in printed
    assert "`flip` (RandomFlip) augments while Keras trains, and does nothing here: " in printed
    assert "torchvision.transforms.v2.RandomHorizontalFlip" in readme
    # It has to make sense beside the folder alone.
    assert "data.augment" not in readme
    assert "the training is another than Keras's" in readme


def test_proof_of_a_net_that_augments_does_not_speak_of_training() -> None:
    proof = Proof((Line(STRUCTURE, "dense", "Dense"),), keras="tf_keras 2.21.0", augmenting=("flip",))
    assert proof.line.startswith("equal to tf_keras 2.21.0 in inference: 1 layer")
    assert proof.line.endswith('; in training Keras augments in "flip", and the port does not')
    assert "augments" not in Proof(proof.lines, keras=proof.keras).line


def test_figures_that_tell_nothing_are_no_headline() -> None:
    """A bound that round-off alone fills: nothing was compared, and no residual of 0 is claimed."""
    hidden, seen = Figure(0.0, 0.5), Figure(2e-13, 1e-9)
    lines = [
        Line(LAYERS, "dense", "Dense", "", {"float32 random": Figure(3e-7, 2e-5), "float64 random": seen})
    ]
    lines += [
        Line(GRADIENTS, f"dense/{name}", "Dense", "", {"float32 random": hidden, "float64 random": seen})
        for name in ("kernel", "bias")
    ]
    line = Proof(tuple(lines), keras="keras 3.15.0").line
    assert "2 gradients within 2e-13 in float64, hidden by round-off in float32" in line
    assert "1 activation within 3e-07 in float32, 2e-13 in float64" in line


@pytest.mark.process
def test_half_precision_is_said(run: Run, tmp_path: Path) -> None:
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    dense = layer("Dense", "dense", "given", units=3, activation="softmax", dtype=policy)
    path = write_h5(tmp_path / "net.h5", functional(vector("given"), dense), {"dense": DENSE_WEIGHTS})
    printed = run(path, tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text()
    said = "The policy mixed_float16: model.py computes in float32, in which it was compared"
    assert f"not carried over: {said}" in printed
    assert any(line.startswith(said) for line in not_carried(readme))


@pytest.mark.process
def test_counts_agree(run: Run, tmp_path: Path) -> None:
    """Layers that are called twice, and models inside, are counted once and not at all."""
    inner = functional(vector("inside"), layer("Dense", "dense", "inside", units=4, activation="relu"))
    node = [[["given", 0, 0, {}]], [["inner", 1, 0, {}]]]
    model = {"class_name": "Functional", "name": "inner", "config": inner["config"], "inbound_nodes": node}
    model["config"]["name"] = "inner"
    last = layer("ReLU", "relu", "inner")
    last["inbound_nodes"] = [[["inner", 2, 0, {}]]]
    weights = {"inner": {"dense/kernel:0": (4, 4), "dense/bias:0": (4,)}}
    path = write_h5(tmp_path / "net.h5", functional(vector("given"), model, last), weights)
    printed = run(path, tmp_path / "out")
    assert "net.h5: 2 layers, 20 parameters" in printed
    assert carried((tmp_path / "out" / "README.md").read_text())[0] == "2 layers, every weight."


@pytest.mark.process
def test_files_have_the_mode_of_any_new_file(tmp_path: Path) -> None:
    weights = {"dense": DENSE_WEIGHTS}
    dense = layer("Dense", "dense", "given", units=3, activation="softmax")
    path, out = write_h5(tmp_path / "net.h5", functional(vector("given"), dense), weights), tmp_path / "out"
    words = [sys.executable, "-m", "porting", "convert", str(path), "--out", str(out)]
    words += ["--keras-python", without_keras(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, umask=0o027)
    assert done.returncode == 3, done.stderr
    modes = {each.name: each.stat().st_mode & 0o777 for each in out.iterdir()}
    assert {"weights.safetensors", "lightning_module.py", "proof.json"} <= modes.keys()
    assert set(modes.values()) == {0o640}
    assert out.stat().st_mode & 0o777 == 0o750


def with_code(folder: Path) -> Path:
    """A file with a Lambda, and own_functions.py that has a function for it."""
    code = layer("Lambda", "half", "given", function=["4wAAAA=="])
    dense = layer("Dense", "dense", "half", units=3, activation="softmax")
    (folder / "own_functions.py").write_text("def halve(x):\n    return x / 2\n")
    return write_h5(folder / "net.h5", functional(vector("given"), code, dense), {"dense": DENSE_WEIGHTS})


@pytest.mark.process
def test_folder_holds_the_functions_it_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = with_code(tmp_path), tmp_path / "out"
    monkeypatch.syspath_prepend(tmp_path)
    words = ["convert", str(path), "--out", str(out), "--custom", "half=own_functions:halve"]
    assert main([*words, "--keras-python", without_keras(tmp_path)]) == 3
    assert (out / "own_functions.py").read_text() == (tmp_path / "own_functions.py").read_text()
    readme = (out / "README.md").read_text()
    assert "`own_functions.py` | a copy of your own module" in readme
    assert "--custom half=own_functions:halve\n" in readme
    # It is a folder of ours as before.
    assert main([*words, "--keras-python", without_keras(tmp_path), "--overwrite"]) == 3
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "own_functions")
    given = torch.ones(2, 4)
    net = load_port(str(out))()
    half = net.get_submodule("dense")
    assert torch.equal(net(given), half(given / 2))


@pytest.mark.process
def test_part_of_a_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = with_code(tmp_path)
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_functions.py").rename(tmp_path / "own_package" / "functions.py")
    monkeypatch.syspath_prepend(tmp_path)
    words = ["convert", str(path), "--out", str(tmp_path / "out"), "--keras-python", without_keras(tmp_path)]
    assert main([*words, "--custom", "half=own_package.functions:halve"]) == 3
    readme = " ".join((tmp_path / "out" / "README.md").read_text().split())
    assert "`model.py` imports your own `own_package.functions`, of which no copy is here" in readme
    (tmp_path / "model.py").write_text("def halve(x):\n    return x / 2\n")
    with pytest.raises(UserError, match=r"has a model\.py of its own: give your module another name"):
        main([*words, "--overwrite", "--custom", "half=model:halve"])


@pytest.mark.process
def test_interpreter_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = with_code(tmp_path)
    with pytest.raises(UserError, match="--keras-python /no/such/python cannot be run"):
        main(["convert", str(path), "--out", str(tmp_path / "out"), "--keras-python", "/no/such/python"])
    assert not (tmp_path / "out").exists()


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_proof_leaves_a_whole_folder_that_says_so(number: signal.Signals, tmp_path: Path) -> None:
    dense = layer("Dense", "dense", "given", units=3, activation="softmax")
    path = write_h5(tmp_path / "net.h5", functional(vector("given"), dense), {"dense": DENSE_WEIGHTS})
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    scratch.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "porting", "convert", str(path), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    assert child.stdout is not None
    for line in child.stdout:
        if line.rstrip().endswith("not yet proven"):
            break
    # It is Keras's turn.
    deadline = time.monotonic() + 60
    while not list(scratch.glob("proof_*/record_file_*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(number)
    rest, errors = child.communicate(timeout=60)
    assert child.returncode == 128 + number, errors
    assert rest == ""
    assert errors == f"stopped: {out} is whole, but not proven; to prove it, convert again with --overwrite\n"
    assert {"model.py", "weights.safetensors", "README.md", "proof.html"} <= {
        each.name for each in out.iterdir()
    }
    said = json.loads((out / "proof.json").read_text())
    assert said["holds"] is False
    assert "has not come to its end" in said["line"]
    # Its Keras has ended with it, and tidied up.
    assert list(scratch.iterdir()) == []


def test_steps_of_a_long_proof_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "SECONDS_BETWEEN", 0.02)
    with steps.steps_shown() as tell:
        tell("Keras loads the model")
        time.sleep(0.1)
        tell("the port runs")
        time.sleep(0.1)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "proof, 0 s: Keras loads the model"
    assert said[-1] == "proof, 0 s: the port runs"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[[Path, Path], str]:
    """What `convert` prints on standard output, with an interpreter that has no Keras: nothing is proven."""

    def converted(path: Path, out: Path) -> str:
        words = ["convert", str(path), "--out", str(out), "--keras-python", without_keras(tmp_path)]
        assert main(words) == 3
        return capsys.readouterr().out

    return converted


def without_keras(folder: Path) -> str:
    """An interpreter that has none: without its site-packages."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    return str(python)


def carried(readme: str) -> list[str]:
    return _listed(readme, "Carried over")


def not_carried(readme: str) -> list[str]:
    """Without what no file holds."""
    return [
        line for line in _listed(readme, "Not carried over") if not line.startswith("What the file does not")
    ]


def _listed(readme: str, heading: str) -> list[str]:
    section = readme.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line.removeprefix("- ") for line in section.splitlines() if line.startswith("- ")]
