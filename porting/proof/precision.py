"""Where Keras computes, or holds a constant, in float32 whatever the dtype of its layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from porting.graph import Layer, LayerPath
from porting.keras_file import KerasFile
from porting.keras_file.model_config import OPERATION
from porting.proof.port import Run
from porting.proof.recording import FLOAT64, Recording
from porting.proof.residuals import FORWARD, ROUNDED, apart, typical_norm


class Precision:
    """The dtype by which a figure is judged.

    tf.image.resize gives float32, also of float64 (tensorflow ops/image_ops_impl.py, resize_images_v2). Keras
    3's Normalization rounds the mean and variance in its config to float32 (keras 3.15
    layers/preprocessing/normalization.py, `finalize_state`), its Rescaling, GELU, hard_sigmoid and
    MultiHeadAttention (the root of key_dim) their numbers, and TensorFlow's LeakyRelu takes the slope as a
    float32 attribute: where float32 cannot hold the number, it is another. What comes behind such a layer is
    no more exact in float64, unless it rounded nothing; and no gradient that has passed it is.

    Args:
        file: The model's.
        recording: Of it.

    Attributes:
        rounding: The names of the calls that do.
        paths: Of their layers.
        exact: Whether all of them gave what the port gives in float64.
    """

    def __init__(self, file: KerasFile, recording: Recording) -> None:
        layers = dict(file.graph.walk())
        self._recording = recording
        self._order = {call["name"]: place for place, call in enumerate(recording.calls)}
        self._first_call: dict[LayerPath, int] = {}
        for place, call in enumerate(recording.calls):
            self._first_call.setdefault(tuple(call["path"]), place)
        paths = [(call["name"], tuple(call["path"])) for call in recording.calls]
        self.rounding = [name for name, path in paths if path in layers and rounds(layers[path])]
        self.paths = tuple(dict.fromkeys(path for name, path in paths if name in self.rounding))
        self.exact = True

    def learn(self, run: Run, dtype: str, batch: str) -> None:
        """Takes in what the port gave: whether Keras rounded anything is seen there."""
        for name in self.rounding if dtype == FLOAT64 else ():
            for number, ours in enumerate(run.calls.get(name, ())):
                theirs = self._recording.output(dtype, batch, f"{name}:{number}")
                residual = apart(ours, theirs, typical_norm(theirs))
                self.exact = self.exact and residual <= FORWARD[FLOAT64]

    def of_call(self, name: str, dtype: str) -> str:
        """Of a call's outputs."""
        is_before = not self.rounding or self._order[name] < self._order[self.rounding[0]]
        return dtype if is_before or (self.exact and name not in self.rounding) else _rounded(dtype)

    def of_outputs(self, dtype: str) -> str:
        """Of the model's outputs."""
        return dtype if self.exact else _rounded(dtype)

    def of_gradient(self, path: LayerPath | None, dtype: str) -> str:
        """Of the gradient of a layer's weights; None: of an input."""
        if not self.rounding:
            return dtype
        first = -1 if path is None else self._first_call.get(path, -1)
        return dtype if self.exact and first > self._order[self.rounding[-1]] else _rounded(dtype)


def _rounded(dtype: str) -> str:
    return ROUNDED if dtype == FLOAT64 else dtype


def rounds(layer: Layer) -> bool:
    """Whether it may: `learn` sees whether it does."""
    if layer.class_name == "UpSampling2D":
        return layer.config.get("interpolation", "nearest") != "nearest"
    if layer.class_name == "Normalization":
        return layer.config.get("mean") is not None
    if layer.wrapped is not None and rounds(layer.wrapped):
        return True
    # What acts in it: the layer itself, and its activations.
    acting: list[tuple[Any, Any]] = [(layer.class_name, layer.config)]
    if layer.class_name.startswith(OPERATION):
        name = layer.class_name.removeprefix(OPERATION)
        acting.append((re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), {}))
    if isinstance(function := layer.config.get("function"), str):
        # TFOpLambda's, such as "nn.leaky_relu".
        acting.append((function.rpartition(".")[2], {}))
    for key in ("activation", "recurrent_activation"):
        stated = layer.config.get(key)
        if isinstance(stated, Mapping):
            config = stated.get("config")
            # Keras 3 writes a function as {"class_name": "function", "config": its name}.
            is_function = isinstance(config, str)
            acting.append((config, {}) if is_function else (stated.get("class_name"), config or {}))
        else:
            acting.append((stated, {}))
    return any(_rounds(name, config) for name, config in acting)


def _rounds(name: Any, config: Mapping[str, Any]) -> bool:
    """Whether a class of layers, or a function, does."""
    if name in _CONSTANTS:
        return not all(_is_exact(constant) for constant in _CONSTANTS[name](config))
    return name in _ROUNDING


def _is_exact(constant: Any) -> bool:
    """Whether float32 can hold it; None is no constant."""
    if isinstance(constant, list):
        return all(_is_exact(each) for each in constant)
    return constant is None or (isinstance(constant, int | float) and float(np.float32(constant)) == constant)


# What a layer computes with; one that its config does not state may be any.
_UNKNOWN = float("nan")
_CONSTANTS: dict[str, Callable[[Mapping[str, Any]], list[Any]]] = {
    "LeakyReLU": lambda config: [config.get("negative_slope", config.get("alpha", _UNKNOWN))],
    "MultiHeadAttention": lambda config: [config.get("key_dim", _UNKNOWN) ** -0.5],
    "ReLU": lambda config: [config.get(key) for key in ("max_value", "negative_slope", "threshold")],
    "Rescaling": lambda config: [config.get("scale", _UNKNOWN), config.get("offset")],
}
# Other layers, and activations of layers.
_ROUNDING = {"CenterCrop", "Resizing", "gelu", "hard_sigmoid", "leaky_relu"}
