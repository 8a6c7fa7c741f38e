"""What lies outside of the usual in files made here: compression, bfloat16, Keras 1, weights alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from parity_tests.keras_file_makers import (
    BIAS,
    CHAIN_WEIGHTS,
    FUNCTIONAL_WEIGHTS,
    SEQUENTIAL_WEIGHTS,
    chain_config,
    functional_config,
    sequential_config,
    weights_h5,
    write_h5,
)
from porting.keras_file import KerasFileError, read_keras_file


@pytest.mark.process
def test_weights_alone_need_an_architecture(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(weights_h5(FUNCTIONAL_WEIGHTS))
    with pytest.raises(
        KerasFileError, match="holds weights alone: give the model's JSON with --architecture"
    ):
        read_keras_file(path)
    architecture = tmp_path / "model.json"
    architecture.write_text(json.dumps(functional_config()), encoding="utf-8")
    assert len(read_keras_file(path, architecture).weights) == 2
    with pytest.raises(KerasFileError, match="holds a model, not weights alone"):
        read_keras_file(write_h5(tmp_path / "m.h5"), architecture)
    architecture.write_text("{", encoding="utf-8")
    with pytest.raises(KerasFileError, match=r"--architecture .*model.json: .* is no JSON"):
        read_keras_file(path, architecture)


@pytest.mark.process
def test_compressed_arrays_are_decoded(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5")
    numbers = np.random.RandomState(1).standard_normal((5, 4)).astype(">f4")
    with h5py.File(path, "r+") as file:
        del file["model_weights/first/first/kernel:0"]
        file.create_dataset(
            "model_weights/first/first/kernel:0", data=numbers, chunks=(2, 3), compression="gzip"
        )
    read = read_keras_file(path).weights["first",]["kernel"].read()
    assert read.dtype == np.float32
    assert np.array_equal(read, numbers)


@pytest.mark.process
def test_bfloat16_arrays_become_float32(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5")
    numbers = np.array([1.0, -2.5, 0.15625, 3e38], np.float32)
    upper = (numbers.view(np.uint32) >> 16).astype("<u2")
    with h5py.File(path, "r+") as file:
        del file[BIAS]
        file.create_dataset(BIAS, data=upper.view("V2"))
        file[BIAS].attrs["dtype"] = "bfloat16"
    read = read_keras_file(path).weights["first",]["bias"].read()
    assert np.array_equal(read[:3], numbers[:3])
    assert np.array_equal(read.view(np.uint32) >> 16, upper)


@pytest.mark.process
def test_lambda_is_named_and_not_run(tmp_path: Path) -> None:
    graph = read_keras_file(write_h5(tmp_path / "m.h5")).graph
    assert graph.layer("code").class_name == "Lambda"
    assert graph.layer("code").config["function"] == ["4wAAAA==", None, None]


@pytest.mark.process
def test_keras_1_names_are_translated(tmp_path: Path) -> None:
    """No Keras 1 runs beside today's Python: its file is made here, as keras 1.2 lays it out."""
    convolution = {
        "name": "convolution2d_1",
        "batch_input_shape": [None, 8, 8, 3],
        "nb_filter": 4,
        "nb_row": 3,
        "nb_col": 2,
        "border_mode": "same",
        "subsample": [1, 1],
        "dim_ordering": "tf",
        "bias": True,
    }
    norm = {"name": "batchnormalization_1", "mode": 0, "epsilon": 0.001}
    config = {
        "class_name": "Sequential",
        "config": [
            {"class_name": "Convolution2D", "config": convolution},
            {"class_name": "BatchNormalization", "config": norm},
        ],
    }
    weights = {
        "convolution2d_1": {"convolution2d_1_W": (3, 2, 3, 4), "convolution2d_1_b": (4,)},
        "batchnormalization_1": {
            f"batchnormalization_1_{name}": (4,) for name in ("gamma", "beta", "running_mean", "running_std")
        },
    }
    convolution["dim_ordering"] = "th"
    with pytest.raises(KerasFileError, match='"convolution2d_1" of Keras 1 has dim_ordering "th"'):
        read_keras_file(write_h5(tmp_path / "theano.h5", config, weights, keras_version="1.2.2"))
    convolution["dim_ordering"] = "tf"
    file = read_keras_file(write_h5(tmp_path / "m.h5", config, weights, keras_version="1.2.2"))
    layer = file.graph.layer("convolution2d_1")
    assert layer.class_name == "Conv2D"
    assert layer.config["filters"] == 4
    assert layer.config["kernel_size"] == [3, 2]
    assert layer.config["data_format"] == "channels_last"
    assert list(file.weights["convolution2d_1",]) == ["kernel", "bias"]
    assert list(file.weights["batchnormalization_1",]) == ["gamma", "beta", "moving_mean", "moving_variance"]


def test_checkpoint_index_of_wrong_magic_is_refused(tmp_path: Path) -> None:
    metadata = json.dumps(sequential_config()).encode()
    inner = b"\x1a\x04root" + b"\x2a" + _varint(len(metadata)) + metadata
    (tmp_path / "keras_metadata.pb").write_bytes(b"\x0a" + _varint(len(inner)) + inner)
    (tmp_path / "variables").mkdir()
    with pytest.raises(KerasFileError, match=r"variables\.index cannot be read"):
        read_keras_file(tmp_path)
    (tmp_path / "variables" / "variables.index").write_bytes(b"\0" * 40 + struct.pack("<Q", 1))
    with pytest.raises(KerasFileError, match="checkpoint's index is damaged"):
        read_keras_file(tmp_path)


def _varint(number: int) -> bytes:
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def test_maker_lists_every_layer() -> None:
    layers = [layer["config"]["name"] for layer in sequential_config()["config"]["layers"]]
    assert layers == list(SEQUENTIAL_WEIGHTS)


@pytest.mark.process
@pytest.mark.parametrize(
    ("place", "other"), [(1, "BatchNormalizationV1"), (1, "BatchNormalizationV2"), (6, "FixedDropout")]
)
def test_other_names_of_a_class_are_known(tmp_path: Path, place: int, other: str) -> None:
    config = chain_config()
    layer = config["config"]["layers"][place]
    if other == "FixedDropout":
        layer.update(class_name="Dropout", config={"name": "leaky", "rate": 0.2, "noise_shape": None})
    expected = layer["class_name"]
    layer["class_name"] = other
    file = read_keras_file(write_h5(tmp_path / "m.h5", config, CHAIN_WEIGHTS))
    assert file.graph.layers[place + 1].class_name == expected
    assert set(dict(file.weights)) == {("conv",), ("bn",), ("depthwise",), ("ln",), ("dense",)}
