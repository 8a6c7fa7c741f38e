"""Small Keras model files, laid out as Keras does but made without it: to be damaged, and for Keras 1."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from porting.keras_file import hdf5_child, saved_model

LayerList = Mapping[str, Mapping[str, tuple[int, ...]]]


def describe_here(file: int, scratch: int) -> dict[str, Any]:
    """What the child that looks at an HDF5 file answers, without the child."""
    with os.fdopen(os.dup(file), "rb") as opened, os.fdopen(os.dup(scratch), "wb") as free:
        return json.loads(json.dumps(hdf5_child.answer_to(opened, free)))


def _dense(name: str, units: int, **more: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": name, "units": units, "use_bias": True, **more}}


def sequential_config() -> dict[str, Any]:
    """Dense, an inner model with a Dense in it, and a Lambda."""
    inner = [_dense("inside", 3, batch_input_shape=[None, 4])]
    return {
        "class_name": "Sequential",
        "config": {
            "name": "outer",
            "layers": [
                _dense("first", 4, batch_input_shape=[None, 5]),
                {"class_name": "Sequential", "config": {"name": "inner", "layers": inner}},
                {"class_name": "Lambda", "config": {"name": "code", "function": ["4wAAAA==", None, None]}},
            ],
        },
    }


BIAS = "model_weights/first/first/bias:0"
SEQUENTIAL_WEIGHTS: LayerList = {
    "first": {"first/kernel:0": (5, 4), "first/bias:0": (4,)},
    "inner": {"inside/kernel:0": (4, 3), "inside/bias:0": (3,)},
    "code": {},
}


def chain_config() -> dict[str, Any]:
    """A Sequential of layers that all have rules, with most of their arguments."""

    def layer(kind: str, name: str, **config: Any) -> dict[str, Any]:
        return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}

    penalty = {"class_name": "L2", "config": {"l2": 0.01}}
    convolution = {"kernel_size": [3, 3], "data_format": "channels_last", "use_bias": True}
    norm = {"axis": [3], "momentum": 0.9, "epsilon": 0.001, "center": True, "scale": True}
    window = {"pool_size": [2, 2], "strides": [2, 2], "padding": "same", "data_format": "channels_last"}
    layers = [
        layer(
            "Conv2D",
            "conv",
            batch_input_shape=[None, 9, 8, 2],
            filters=4,
            strides=[2, 2],
            padding="same",
            dilation_rate=[1, 1],
            groups=1,
            activation="linear",
            kernel_regularizer=penalty,
            **convolution,
        ),
        layer("BatchNormalization", "bn", **norm),
        layer("ReLU", "relu", max_value=6.0, negative_slope=0.0, threshold=0.0),
        layer("ZeroPadding2D", "pad", padding=[[0, 1], [0, 1]], data_format="channels_last"),
        layer("DepthwiseConv2D", "depthwise", padding="valid", depth_multiplier=1, **convolution),
        layer("MaxPooling2D", "pool", **window),
        layer("LeakyReLU", "leaky", alpha=0.3),
        layer("SpatialDropout2D", "drop", rate=0.2),
        layer("UpSampling2D", "up", size=[2, 2], interpolation="nearest", data_format="channels_last"),
        layer("GlobalAveragePooling2D", "mean", data_format="channels_last"),
        layer("Reshape", "reshape", target_shape=[2, 2]),
        layer("Permute", "permute", dims=[2, 1]),
        layer("Flatten", "flatten", data_format="channels_last"),
        layer("LayerNormalization", "ln", axis=[1], epsilon=0.001, center=True, scale=True),
        layer("Dense", "dense", units=3, activation="softmax", use_bias=True),
    ]
    return {"class_name": "Sequential", "config": {"name": "chain", "layers": layers}}


CHAIN_WEIGHTS: LayerList = {
    "conv": {"conv/kernel:0": (3, 3, 2, 4), "conv/bias:0": (4,)},
    "bn": {f"bn/{name}:0": (4,) for name in ("gamma", "beta", "moving_mean", "moving_variance")},
    **{name: {} for name in ("relu", "pad")},
    "depthwise": {"depthwise/depthwise_kernel:0": (3, 3, 4, 1), "depthwise/bias:0": (4,)},
    **{name: {} for name in ("pool", "leaky", "drop", "up", "mean", "reshape", "permute", "flatten")},
    "ln": {"ln/gamma:0": (4,), "ln/beta:0": (4,)},
    "dense": {"dense/kernel:0": (4, 3), "dense/bias:0": (3,)},
}


def functional_config() -> dict[str, Any]:
    """Keras 3's words: a convolution with two calls, added."""

    def tensor(layer: str, call: int = 0) -> dict[str, Any]:
        history = {"shape": [None, 4, 4, 2], "dtype": "float32", "keras_history": [layer, call, 0]}
        return {"class_name": "__keras_tensor__", "config": history}

    def layer(kind: str, name: str, calls: list[Any], **config: Any) -> dict[str, Any]:
        nodes = [{"args": arguments, "kwargs": {}} for arguments in calls]
        return {
            "module": "keras.layers",
            "class_name": kind,
            "name": name,
            "config": {"name": name, **config},
            "registered_name": None,
            "inbound_nodes": nodes,
        }

    convolution = {"filters": 2, "kernel_size": [3, 3], "padding": "same", "strides": [1, 1]}
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": {
            "name": "shared",
            "layers": [
                layer("InputLayer", "image", [], batch_shape=[None, 4, 4, 2]),
                layer("Conv2D", "conv", [[tensor("image")], [tensor("conv")]], **convolution),
                layer("BatchNormalization", "bn", [[tensor("conv", 1)]], epsilon=0.001),
                layer("Add", "add", [[[tensor("conv"), tensor("bn")]]]),
            ],
            "input_layers": [["image", 0, 0]],
            "output_layers": [["add", 0, 0]],
        },
        "compile_config": {
            "optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {"momentum": 0.9}},
            "loss": "mse",
        },
    }


FUNCTIONAL_WEIGHTS = {
    "layers/conv2d/vars/0": (3, 3, 2, 2),
    "layers/conv2d/vars/1": (2,),
    **{f"layers/batch_normalization/vars/{number}": (2,) for number in range(4)},
    "layers/add/vars": None,
    "optimizer/vars/0": (),
    "optimizer/vars/1": (),
}


def write_h5(
    path: Path,
    config: Mapping[str, Any] | str | None = None,
    weights: LayerList = SEQUENTIAL_WEIGHTS,
    keras_version: str = "2.4.0",
    training_config: Any = None,
) -> Path:
    """An .h5 file of lists of layers. `config` may be a text that is no JSON."""
    config = sequential_config() if config is None else config
    random = np.random.RandomState(0)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        file.attrs["keras_version"] = keras_version
        file.attrs["backend"] = "tensorflow"
        if training_config is not None:
            file.attrs["training_config"] = json.dumps(training_config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for layer, arrays in weights.items():
            own = group.create_group(layer)
            own.attrs["weight_names"] = [name.encode() for name in arrays]
            for name, shape in arrays.items():
                own[name] = random.uniform(0.1, 0.9, shape).astype("float32")
    return path


def weights_h5(weights: Mapping[str, tuple[int, ...] | None]) -> bytes:
    """The bytes of a model.weights.h5."""
    buffer = io.BytesIO()
    random = np.random.RandomState(0)
    with h5py.File(buffer, "w") as file:
        for name, shape in weights.items():
            if shape is None:
                file.create_group(name)
            else:
                file[name] = random.uniform(0.1, 0.9, shape).astype("float32")
    return buffer.getvalue()


def write_archive(
    path: Path, config: Mapping[str, Any] | bytes | None = None, weights: bytes | None = None
) -> Path:
    """A .keras file."""
    stated = functional_config() if config is None else config
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", stated if isinstance(stated, bytes) else json.dumps(stated))
        archive.writestr("model.weights.h5", weights_h5(FUNCTIONAL_WEIGHTS) if weights is None else weights)
    return path


def as_tf213(path: Path, out: Path, separator: str = "/") -> Path:
    """A .keras file of tf_keras with its weights at the places of TF 2.13 and 2.14.

    Args:
        path: The file.
        out: Takes the other.
        separator: Between the parts of a place: that of Windows is a backslash.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(members["model.weights.h5"]), "r") as given, h5py.File(buffer, "w") as made:

        def carry(name: str, thing: Any) -> None:
            place, has_numbers, number = name.rpartition("/vars/")
            if isinstance(thing, h5py.Dataset) and has_numbers:
                made[f"{moved(place)}/vars/{number}"] = thing[()]
            elif name.endswith("/vars"):
                # Layers without weights have their place, too.
                made.require_group(f"{moved(name.removesuffix('/vars'))}/vars")

        def moved(place: str) -> str:
            return separator.join(_place_in_tf213(part) for part in place.split("/"))

        given.visititems(carry)
    members["model.weights.h5"] = buffer.getvalue()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out


def _place_in_tf213(part: str) -> str:
    """Another name for the layers, whose numbers have gaps there."""
    name, _, number = part.rpartition("_")
    if part == "layers":
        return "_layer_checkpoint_dependencies"
    return f"{name}_{2 * int(number)}" if number.isdecimal() else part


def as_tf24(folder: Path) -> None:
    """Makes a SavedModel folder one of TF 2.0 to 2.4: the model's JSON text goes into saved_model.pb."""
    text = saved_model.model_text(folder)
    user_object = _field(1, b"_tf_keras_network") + _field(3, text)
    objects = _field(1, _field(4, user_object))
    (folder / saved_model.GRAPH).write_bytes(_field(2, _field(7, objects)))
    (folder / saved_model.METADATA).unlink()


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes of a protocol buffer message."""
    length, encoded = len(content), b""
    while length >= 0x80:
        encoded += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + encoded + bytes([length]) + content
