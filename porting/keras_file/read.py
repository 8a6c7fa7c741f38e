"""Reads any Keras model file. Nothing in the file is executed, and nothing is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from porting.graph import Graph
from porting.keras_file import archive, hdf5, saved_model
from porting.keras_file.hdf5 import Hdf5Contents
from porting.keras_file.json_text import MAXIMUM_BYTES, parse_object
from porting.keras_file.keras_file import KerasFile
from porting.keras_file.layer_list_layout import Weights, is_layer_list, weights_in_lists
from porting.keras_file.model_config import graph_of
from porting.keras_file.object_layout import is_object_tree, weights_in_objects, with_slashes
from porting.keras_file.optimizer_state import KERAS3_ORDER, TF211_ORDER
from porting.keras_file.problems import KerasFileError
from porting.keras_file.stored import Bytes
from porting.keras_file.stored_optimizer import numbered_arrays, state_in_h5, state_in_numbers
from porting.keras_file.tf_checkpoint import what_checkpoint
from porting.keras_file.training_config import TrainingConfig, training_config_of

_LFS = b"version https://git-lfs"
_MODEL_WEIGHTS = "model_weights"
_RESAVE = "load it with the Keras it was made with and save it again: model.save('model.keras')"


def read_keras_file(path: Path, architecture: Path | None = None) -> KerasFile:
    """Reads a model file: .h5, .hdf5, .keras, or a SavedModel folder. Its suffix does not matter.

    Args:
        path: The file or folder.
        architecture: A JSON text, as `model.to_json()` gives it, for a file of weights alone.

    Raises:
        KerasFileError: It cannot be read, is damaged, is a trap, or is no Keras model's. One line, which
            names the file and what to do.
    """
    try:
        config = None if architecture is None else _read_architecture(architecture)
        if path.is_dir():
            return _without_architecture(_read_folder(path), architecture)
        if said := what_checkpoint(path):
            raise KerasFileError(said)
        file = _open(path)
        start = bytes(file.read(0, min(file.size, len(_LFS))))
        if start.startswith(archive.SIGNATURE):
            return _without_architecture(_read_archive(path, file), architecture)
        if start.startswith(hdf5.SIGNATURE):
            return _read_hdf5(path, hdf5.read_hdf5(file), config)
        raise KerasFileError(_what_else(file, start))
    except KerasFileError as error:
        raise KerasFileError(f"{path}: {error}") from error


def _open(path: Path) -> Bytes:
    try:
        # Opening a pipe must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise KerasFileError(f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    file = Bytes(descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise KerasFileError("is no file and no folder: name the model's file")
    return file


def _what_else(file: Bytes, start: bytes) -> str:
    if file.size == 0:
        return "is empty: copy or download it again"
    if start == _LFS:
        return "is a Git LFS pointer, not the model: fetch it with git lfs pull"
    if start.lstrip()[:1] == b"{":
        return "is a JSON text, not a model file: give it as --architecture beside the file of the weights"
    return "is neither an .h5 nor a .keras file, or its start is damaged: copy or download it again"


def _read_hdf5(path: Path, contents: Hdf5Contents, architecture: Mapping[str, Any] | None) -> KerasFile:
    root = contents.attributes.get("", {})
    version = _version(root) or _version(contents.attributes.get(_MODEL_WEIGHTS, {}))
    if "model_config" in root:
        if architecture is not None:
            raise KerasFileError("holds a model, not weights alone: leave out --architecture")
        graph = graph_of(_json_attribute(root, "model_config"), version or "1")
        weights = weights_in_lists(contents, _MODEL_WEIGHTS, graph)
        training = None
        if "training_config" in root:
            training = training_config_of(_json_attribute(root, "training_config"))
        optimizer = state_in_h5(contents, _MODEL_WEIGHTS, graph, weights, training)
        backend, weights = _text(root.get("backend")), _in_order(graph, weights)
        return KerasFile(path, "HDF5", version or "1", backend, graph, weights, training, optimizer)
    if not is_layer_list(contents, ""):
        contents = with_slashes(contents)
    if not is_layer_list(contents, "") and not is_object_tree(contents):
        raise KerasFileError("is an HDF5 file, but not of a Keras model")
    if architecture is None:
        raise KerasFileError(
            "holds weights alone: give the model's JSON with --architecture (model.to_json() writes it)"
        )
    # The first Keras wrote lists of layers; trees of objects are Keras 2.12's and later.
    version = version or _version(architecture) or ("1" if is_layer_list(contents, "") else "3")
    graph = graph_of(architecture, version)
    if is_layer_list(contents, ""):
        weights = weights_in_lists(contents, "", graph)
    else:
        weights = weights_in_objects(contents, graph)
    backend, weights = _text(root.get("backend")), _in_order(graph, weights)
    return KerasFile(path, "HDF5, weights alone", version, backend, graph, weights, None, None)


def _read_archive(path: Path, file: Bytes) -> KerasFile:
    opened = archive.read_archive(file)
    metadata = parse_object(opened.metadata, archive.METADATA) if opened.metadata else {}
    return _read_parts(path, "Keras archive", opened.config, metadata, opened.weights)


def _read_folder(path: Path) -> KerasFile:
    if (path / saved_model.METADATA).is_file():
        return _read_saved_model(path, saved_model.METADATA)
    if (path / archive.CONFIG).is_file() and (path / archive.WEIGHTS).is_file():
        config, weights = _open(path / archive.CONFIG), _open(path / archive.WEIGHTS)
        text = bytes(config.read(0, min(config.size, MAXIMUM_BYTES + 1)))
        metadata = _read_json(path / archive.METADATA) if (path / archive.METADATA).is_file() else {}
        return _read_parts(path, "Keras folder", text, metadata, weights)
    if (path / saved_model.GRAPH).is_file():
        return _read_saved_model(path, saved_model.GRAPH)
    if said := what_checkpoint(path):
        raise KerasFileError(said)
    raise KerasFileError("is a folder, but neither a SavedModel nor an unzipped .keras file")


def _read_parts(
    path: Path, kind: str, config: bytes, metadata: Mapping[str, Any], weights_file: Bytes
) -> KerasFile:
    """What a .keras file holds."""
    stated = parse_object(config, archive.CONFIG)
    version = _version(metadata) or "3"
    graph = graph_of(stated, version)
    contents = with_slashes(hdf5.read_hdf5(weights_file))
    weights = weights_in_objects(contents, graph)
    training = _training(stated.get("compile_config"))
    order = TF211_ORDER if version.startswith("2") else KERAS3_ORDER
    # Inside that of mixed_float16 stands the optimizer itself.
    places = ("optimizer/inner_optimizer/vars/", "optimizer/_optimizer/vars/", "optimizer/vars/")
    numbered = next(filter(None, (numbered_arrays(contents, place) for place in places)), [])
    optimizer = state_in_numbers(numbered, graph, weights, training, order)
    return KerasFile(path, kind, version, None, graph, _in_order(graph, weights), training, optimizer)


def _read_saved_model(path: Path, described_in: str) -> KerasFile:
    text = saved_model.model_text(path, described_in)
    if not text:
        raise KerasFileError(
            f"is a SavedModel without {saved_model.METADATA}, and {saved_model.GRAPH} describes no Keras "
            f"model either: it holds TensorFlow operations, no layers; {_RESAVE}"
        )
    stated = parse_object(text, described_in)
    version = _version(stated) or "2"
    graph = graph_of(stated, version)
    checkpoint = saved_model.Checkpoint(path, graph)
    weights = _in_order(graph, checkpoint.weights)
    training = _training(stated.get("training_config"))
    # Optimizers number their variables since TF 2.11, and named them before.
    numbered = checkpoint.optimizer_variables()
    optimizer = (
        state_in_numbers(numbered, graph, weights, training, TF211_ORDER) or checkpoint.optimizer_state()
    )
    backend = _text(stated.get("backend"))
    return KerasFile(path, "SavedModel", version, backend, graph, weights, training, optimizer)


def _without_architecture(file: KerasFile, architecture: Path | None) -> KerasFile:
    if architecture is not None:
        raise KerasFileError("holds a model, not weights alone: leave out --architecture")
    return file


def _read_architecture(path: Path) -> Mapping[str, Any]:
    try:
        return _read_json(path)
    except KerasFileError as error:
        raise KerasFileError(f"--architecture {path}: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    file = _open(path)
    return parse_object(bytes(file.read(0, min(file.size, MAXIMUM_BYTES + 1))), path.name)


def _json_attribute(attributes: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = attributes[name]
    if not isinstance(value, str):
        raise KerasFileError(f"{name} is no text: the file is damaged")
    return parse_object(value, name)


def _version(attributes: Mapping[str, Any]) -> str | None:
    return _text(attributes.get("keras_version"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 40 else None


def _training(stated: Any) -> TrainingConfig | None:
    # An empty object is a model that was not compiled.
    return training_config_of(stated) if isinstance(stated, dict) and stated else None


def _in_order(graph: Graph, weights: Weights) -> Weights:
    return {path: weights[path] for path, _ in graph.walk() if path in weights}
