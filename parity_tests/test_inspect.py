"""`python -m porting inspect`: what `convert` makes of each layer, and nothing of it cut off in a pipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_impl.keras_semantics.profile import TF24
from parity_common.command_errors import UserError
from parity_tests.keras_file_makers import CHAIN_WEIGHTS, chain_config, write_h5
from porting.__main__ import main
from porting.convert.command import profile_of
from porting.convert.conversion import lowered
from porting.keras_file import read_keras_file
from porting.program import program_of
from porting.refusals import CannotConvert

Shape = tuple[int | None, ...]


def layer(kind: str, name: str, *inputs: str, **config: Any) -> dict[str, Any]:
    """A layer of a functional model as Keras 2 writes it."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def functional(*layers: dict[str, Any]) -> dict[str, Any]:
    """A functional model from its first layer to its last."""
    ends = {
        "input_layers": [[layers[0]["name"], 0, 0]],
        "output_layers": [[layers[-1]["name"], 0, 0]],
    }
    return {"class_name": "Functional", "config": {"name": "model", "layers": list(layers), **ends}}


def image(*shape: int | None) -> dict[str, Any]:
    return layer("InputLayer", "image", batch_input_shape=[None, *shape])


def pooled(name: str, source: str, padding: str) -> dict[str, Any]:
    window = {"pool_size": [2, 2], "strides": [2, 2], "data_format": "channels_last"}
    return layer("MaxPooling2D", name, source, padding=padding, **window)


def refused(path: Path, *input_shapes: Shape) -> str:
    file = read_keras_file(path)
    with pytest.raises(CannotConvert) as raised:
        program_of(file.graph, TF24, input_shapes=input_shapes)
    return str(raised.value)


@pytest.mark.process
def test_says_what_convert_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = layer("Lambda", "code", "image", function=["4wAAAA=="])
    strange = layer("Strange", "strange", "code")
    path = write_h5(tmp_path / "m.h5", functional(image(6, 6, 3), code, strange), {})
    assert main(["inspect", str(path), "--json", str(tmp_path / "said.json")]) == 0
    printed = capsys.readouterr().out
    file = read_keras_file(path)
    with pytest.raises(UserError) as raised:
        lowered(file, profile_of(file))
    for said in json.loads((tmp_path / "said.json").read_text())["cannot_be_converted"]:
        line = f'{said["class_name"]} "{said["layers"][0]}": {said["reason"]}'
        assert line in str(raised.value)
        assert f"cannot be converted: {line}" in printed
    assert '"code": there is no rule for Lambda, which is code and never run' in printed
    assert '"strange": there is no rule for Strange' in printed
    assert "every layer can be converted" not in printed


@pytest.mark.process
def test_weights_without_a_place_are_refused_by_both(tmp_path: Path) -> None:
    weights = {**CHAIN_WEIGHTS, "relu": {"relu/gamma:0": (4,)}}
    path = write_h5(tmp_path / "m.h5", chain_config(), weights)
    assert main(["inspect", str(path), "--json", str(tmp_path / "said.json")]) == 0
    (said,) = json.loads((tmp_path / "said.json").read_text())["cannot_be_converted"]
    file = read_keras_file(path)
    with pytest.raises(UserError) as raised:
        lowered(file, profile_of(file))
    assert said["reason"] in str(raised.value)


@pytest.mark.process
def test_nothing_is_cut_off_in_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"{'a_name_as_people_write_them_' * 3}{number}" for number in range(2)]
    relu = layer("ReLU", names[0], "image")
    add = layer("Add", names[1], "image", names[0])
    path = write_h5(tmp_path / "m.h5", functional(image(224, 224, 3), relu, add), {})
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "…" not in printed
    (row,) = (line for line in printed.splitlines() if line.startswith(names[1]))
    assert row.split() == [names[1], "Add", "(–,", "224,", "224,", "3)", "image,", names[0]]


@pytest.mark.process
def test_layers_behind_a_refused_one_are_not_blamed(tmp_path: Path) -> None:
    """What a refused layer gives nobody knows: Add and Concatenate behind it are not wrong."""
    strange = layer("QuantConv2D", "strange", "image", filters=8, strides=[2, 2])
    down = pooled("down", "image", "same")
    add = layer("Add", "add", "strange", "down")
    both = layer("Concatenate", "both", "add", "down")
    odd = layer("Activation", "odd", "both", activation="STCustomDoReFa")
    unknown = layer("Unknown", "unknown", "odd")
    layers = (image(6, 6, 3), strange, down, add, both, odd, unknown)
    path = write_h5(tmp_path / "m.h5", functional(*layers), {})
    said = refused(path)
    assert said.startswith("3 of the model's layers cannot be converted: ")
    assert '"strange": there is no rule for QuantConv2D' in said
    # That a layer or its argument has no rule is so whatever it takes.
    assert '"odd": its activation "STCustomDoReFa" has no rule' in said
    assert '"unknown": there is no rule for Unknown' in said
    assert "add" not in said
    assert "(2 behind them not judged: what they take is not known)" in said


@pytest.mark.process
@pytest.mark.parametrize("joins", ["Add", "Concatenate"])
def test_input_shape_that_does_not_fit_is_said_so(joins: str, tmp_path: Path) -> None:
    down = pooled("down", "image", "same")
    up = layer("UpSampling2D", "up", "down", size=[2, 2], interpolation="nearest")
    both = layer(joins, "both", "image", "up")
    path = write_h5(tmp_path / "m.h5", functional(image(None, None, 3), down, up, both), {})
    program_of(read_keras_file(path).graph, TF24, input_shapes=[(20, 30, 3)])
    said = refused(path, (21, 30, 3))
    assert '"both": it cannot take (N, 21, 30, 3) and (N, 22, 30, 3): give a suitable --input-shape' in said
    assert "Size" not in said


@pytest.mark.process
def test_input_shape_for_which_there_are_no_weights_is_said_so(tmp_path: Path) -> None:
    flat = layer("Flatten", "flat", "image", data_format="channels_last")
    dense = layer("Dense", "dense", "flat", units=2, activation="linear", use_bias=False)
    weights = {"dense": {"dense/kernel:0": (48, 2)}}
    path = write_h5(tmp_path / "m.h5", functional(image(4, 4, 3), flat, dense), weights)
    file = read_keras_file(path)
    lowered(file, TF24, input_shapes=[(4, 4, 3)])
    with pytest.raises(
        UserError, match=r'does not suit this --input-shape: "dense": its kernel is of \(48, 2\)'
    ):
        lowered(file, TF24, input_shapes=[(5, 4, 3)])
    with pytest.raises(UserError, match="--input-shape is given 2 times, and the model has 1 inputs"):
        lowered(file, TF24, input_shapes=[(4, 4, 3), (4, 4, 3)])


@pytest.mark.process
def test_activation_with_weights_is_named(tmp_path: Path) -> None:
    """Its weights lie among the layer's: the file is right, and the activation has no rule."""
    activation = {"class_name": "PReLU", "config": {"name": "p_re_lu", "shared_axes": None}}
    window = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last"}
    conv = layer("Conv2D", "conv", "image", filters=2, activation=activation, use_bias=True, **window)
    arrays = {"conv/kernel:0": (3, 3, 3, 2), "conv/bias:0": (2,), "conv/p_re_lu/alpha:0": (6, 6, 2)}
    path = write_h5(tmp_path / "m.h5", functional(image(6, 6, 3), conv), {"conv": arrays})
    assert 'Conv2D "conv": its activation "PReLU" has no rule' in refused(path)


@pytest.mark.process
def test_input_of_unknown_shape_is_all_that_is_said(tmp_path: Path) -> None:
    unknown = layer("InputLayer", "image")
    add = layer("Add", "add", "image", "image")
    path = write_h5(tmp_path / "m.h5", functional(unknown, pooled("down", "image", "same"), add), {})
    said = refused(path)
    assert said.startswith("1 of the model's layers cannot be converted: InputLayer")
    assert "--input-shape 64,64,3" in said
    assert "--custom" not in said
