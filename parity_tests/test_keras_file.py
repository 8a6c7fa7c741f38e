"""Files that Keras wrote, read without it: weights, graph, order and optimizer state as Keras has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.keras_oracle import ask_keras
from porting.graph import Layer
from porting.keras_file import KerasFile, read_keras_file
from porting.output_shapes import output_shapes

CASES = ("sequential", "without_shape", "functional", "sequences", "images", "channels_first", "random")
OPTIMIZERS = {
    "sequential": "rmsprop",
    "without_shape": "sgd",
    "functional": "adam",
    "sequences": "amsgrad",
    "images": "adam",
    "channels_first": "adam",
    "random": "nadam-legacy",
}
FORMATS = ("model.h5", "model.keras", "model.weights.h5")
# Keras takes many seconds to write a SavedModel.
AS_SAVED_MODEL = (("functional", "adam"), ("functional", "adam-legacy"), ("random", "nadam-legacy"))


def _formats(case: str, profile: str) -> tuple[str, ...]:
    if profile == "keras3":
        return FORMATS
    saved_model = ("saved_model",) if (case, OPTIMIZERS[case]) in AS_SAVED_MODEL else ()
    return (*FORMATS, "list_of_layers.h5", *saved_model)


@dataclass(frozen=True)
class Written:
    """The folder Keras wrote, and what it says of the model."""

    folder: Path
    said: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def read(self, name: str) -> KerasFile:
        path = self.folder / name
        if path not in _read:
            needs_architecture = name in ("model.weights.h5", "list_of_layers.h5")
            _read[path] = read_keras_file(path, self.folder / "model.json" if needs_architecture else None)
        return _read[path]


_read: dict[Path, KerasFile] = {}
_written: dict[tuple[str, str, str], Written] = {}


@pytest.fixture
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Writes a case by a profile's Keras, once for all tests."""

    def write(case: str, profile: str, optimizer: str | None = None) -> Written:
        chosen = optimizer or OPTIMIZERS[case]
        # Keras 3 has no legacy ones.
        key = (case, profile, chosen if profile == "tf2.4" else chosen.removesuffix("-legacy"))
        if key not in _written:
            folder = tmp_path_factory.mktemp("keras_files")
            saved_model = profile == "tf2.4" and (case, key[2]) in AS_SAVED_MODEL
            answer = ask_keras(
                "model_files.write",
                profile,
                case=case,
                folder=str(folder),
                optimizer=key[2],
                saved_model=saved_model,
            )
            _written[key] = Written(folder, json.loads(str(answer.pop("said"))), answer)
        return _written[key]

    return write


ALL = [
    pytest.param(case, profile, name, id=f"{case}-{profile}-{name}")
    for case in CASES
    for profile in ("keras3", "tf2.4")
    for name in _formats(case, profile)
]


@pytest.mark.keras
@pytest.mark.parametrize(("case", "profile", "name"), ALL)
def test_weights_match_keras(case: str, profile: str, name: str, written: Any) -> None:
    wrote = written(case, profile)
    file = wrote.read(name)
    stored = {path: list(arrays.values()) for path, arrays in file.weights.items()}
    for path, number, answer in wrote.said["weights"]:
        ours, theirs = stored[tuple(path)][number].read(), wrote.arrays[str(answer)]
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes(), (path, number)
    assert sum(map(len, stored.values())) == len(wrote.said["weights"]) > 0
    assert file.parameters == wrote.said["parameters"]
    assert len({array.tobytes() for array in wrote.arrays.values()}) > 1


@pytest.mark.keras
@pytest.mark.parametrize(("case", "profile", "name"), ALL)
def test_graph_matches_keras(case: str, profile: str, name: str, written: Any) -> None:
    wrote = written(case, profile)
    graph = wrote.read(name).graph
    assert [[call.layer, call.number] for call in graph.calls] == wrote.said["order"]
    listed = [layer.name for layer in graph.layers if layer.class_name != "InputLayer"]
    assert listed == [layer for layer in wrote.said["layers"] if layer in listed]
    shapes = output_shapes(graph)
    inputs = {ref.layer for ref in graph.inputs}
    for layer, shape in wrote.said["shapes"].items():
        if layer in inputs or layer not in listed:
            continue
        assert list(shapes[layer,] or ()) == shape, layer


@pytest.mark.keras
@pytest.mark.parametrize(
    ("case", "profile", "optimizer", "name"),
    [
        ("functional", "keras3", "adam", "model.keras"),
        ("functional", "keras3", "adam", "model.h5"),
        ("sequences", "keras3", "amsgrad", "model.keras"),
        ("sequential", "keras3", "rmsprop", "model.keras"),
        ("without_shape", "keras3", "sgd", "model.h5"),
        ("without_shape", "keras3", "sgd", "model.keras"),
        ("functional", "tf2.4", "adam", "model.keras"),
        ("functional", "tf2.4", "adam", "model.h5"),
        ("functional", "tf2.4", "adam", "saved_model"),
        ("functional", "tf2.4", "adam-legacy", "model.h5"),
        ("functional", "tf2.4", "adam-legacy", "saved_model"),
        ("random", "tf2.4", "nadam-legacy", "model.h5"),
        ("random", "tf2.4", "nadam-legacy", "saved_model"),
        ("sequences", "tf2.4", "amsgrad", "model.keras"),
        ("sequential", "tf2.4", "rmsprop", "model.keras"),
        ("sequential", "tf2.4", "rmsprop-legacy", "model.h5"),
        ("without_shape", "tf2.4", "sgd", "model.keras"),
    ],
)
def test_optimizer_state_matches_keras(
    case: str, profile: str, optimizer: str, name: str, written: Any
) -> None:
    wrote = written(case, profile, optimizer)
    file = wrote.read(name)
    state = file.optimizer
    assert state is not None
    assert state.unnamed == ()
    assert state.scalars["iteration"].read().item() == wrote.said["iteration"] == 1
    for scalar, theirs in wrote.said["scalars"].items():
        assert state.scalars[scalar].read().item() == pytest.approx(theirs, rel=1e-7)
    names = {path: list(arrays) for path, arrays in file.weights.items()}
    for slot, path, number, answer in wrote.said["slots"]:
        ours = state.slots[slot][tuple(path), names[tuple(path)][number]].read()
        assert ours.tobytes() == wrote.arrays[str(answer)].tobytes(), (slot, path, number)
    assert sum(map(len, state.slots.values())) == len(wrote.said["slots"]) > 0
    assert file.training is not None
    assert file.training.optimizer in ("Adam", "Nadam", "RMSprop", "SGD")


@pytest.mark.keras
@pytest.mark.parametrize("profile", ["keras3", "tf2.4"])
def test_names_are_the_same_in_every_format(profile: str, written: Any) -> None:
    for case in ("sequential", "sequences", "images"):
        wrote = written(case, profile)
        names = [
            {path: list(arrays) for path, arrays in wrote.read(name).weights.items()}
            for name in _formats(case, profile)
        ]
        assert names.count(names[0]) == len(names)
    assert ("depthwise",) in wrote.read("model.h5").weights or case == "images"


@pytest.mark.keras
def test_names_are_the_same_in_both_generations(written: Any) -> None:
    for case in ("sequential", "sequences", "images"):
        ours, theirs = (written(case, profile).read("model.h5") for profile in ("keras3", "tf2.4"))
        assert [name for name, _ in ours.named_weights()] == [name for name, _ in theirs.named_weights()]


@pytest.mark.keras
def test_a_shared_layer_and_inner_models_have_their_calls(written: Any) -> None:
    for profile, shared in (("keras3", "shared_dense"), ("tf2.4", "shared/dense")):
        for name in ("model.h5", "model.keras"):
            graph = written("functional", profile).read(name).graph
            takes = [[(ref.layer, ref.call) for ref in call.inputs] for call in graph.calls_of(shared)]
            assert sorted(takes) == [
                [("vector", 0)],
                [("vector", 0)],
                [(shared, takes.index([("vector", 0)]))],
            ] or (sorted(takes)[0] == [(shared, 0)])
            assert [[ref.layer for ref in call.inputs] for call in graph.calls_of("inner")] == [
                ["image"],
                ["act"],
            ]
            (add,) = graph.calls_of("add")
            assert [(ref.layer, ref.call) for ref in add.inputs] == [("frozen", 0), ("inner", 0)]
            assert [ref.layer for ref in graph.inputs] == ["vector", "image"]
            assert [ref.layer for ref in graph.outputs] == ["second", "first"]
            assert _frozen(graph.layer("frozen"))


def _frozen(layer: Layer) -> bool:
    assert layer.graph is not None
    inside = [inner for inner in layer.graph.layers if inner.class_name != "InputLayer"]
    return not any(inner.trainable for inner in inside)
