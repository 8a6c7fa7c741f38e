"""Compares the layers, their parameters, and the arrays of the file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from keras_reference.record_file import checksum
from porting.graph import Layer, LayerPath
from porting.keras_file import KerasFile
from porting.keras_file.model_config import OPERATION
from porting.keras_file.weight_plan import weights_of
from porting.proof.recording import Recording
from porting.proof.verdict import STRUCTURE, WEIGHTS, Line

_INPUT = "InputLayer"


def structure_lines(file: KerasFile, recording: Recording) -> Iterator[Line]:
    """Layers by name and class, and their parameters."""
    layers = {path: layer for path, layer in file.graph.walk() if layer.class_name != _INPUT}
    for path, theirs in recording.layers.items():
        name, kind = "/".join(path), theirs["class"]
        layer = layers.pop(path, None)
        if layer is None:
            yield Line(STRUCTURE, name, kind, fault="the port has no such layer")
        elif layer.graph is not None:
            yield Line(STRUCTURE, name, kind, is_model=True)
        else:
            fault = _other_parameters(file, path, layer, theirs)
            if layer.class_name != kind:
                fault = f"the port took it for a {layer.class_name}"
            yield Line(STRUCTURE, name, kind, fault=fault)
    for path, layer in layers.items():
        # An operation of Keras 3 is no layer of the model's: its calls are compared.
        if layer.class_name.startswith(OPERATION):
            continue
        yield Line(STRUCTURE, "/".join(path), layer.class_name, fault="Keras has no such layer")


def _other_parameters(file: KerasFile, path: LayerPath, layer: Layer, theirs: Mapping) -> str:
    their_trained, their_fixed = theirs["trainable_parameters"], theirs["non_trainable_parameters"]
    # Each of the file's arrays is in the port once (carried_weights.py).
    sizes = {name: math.prod(array.shape) for name, array in file.weights.get(path, {}).items()}
    total = sum(sizes.values())
    if total != their_trained + their_fixed:
        return f"{total} parameters, Keras has {their_trained + their_fixed}"
    plan = weights_of(layer)
    if plan is None:
        return ""
    above = (file.graph.layer(path[0]), *_inner_layers(file, path))
    trains = all(each.trainable for each in above)
    trained = sum(sizes.get(weight.name, 0) for weight in plan if weight.trainable and trains)
    return "" if trained == their_trained else f"{trained} trained parameters, Keras has {their_trained}"


def _inner_layers(file: KerasFile, path: LayerPath) -> Iterator[Layer]:
    graph = file.graph
    for outer, name in pairwise(path):
        inner = graph.layer(outer).graph
        assert inner is not None
        graph = inner
        yield graph.layer(name)


def weight_lines(file: KerasFile, recording: Recording) -> Iterator[Line]:
    """The file's arrays as they were read here, and as Keras read them: the same bytes."""
    for path, theirs in recording.layers.items():
        if theirs["is_model"] or not (theirs["weights"] or path in file.weights):
            continue
        ours = Counter(checksum(array.read()) for array in file.weights.get(path, {}).values())
        wanted = Counter(weight["sha256"] for weight in theirs["weights"])
        other = sum((ours - wanted).values()) + sum((wanted - ours).values())
        fault = f"{other} arrays are not as Keras reads them" if other else ""
        yield Line(WEIGHTS, "/".join(path), theirs["class"], fault=fault)
