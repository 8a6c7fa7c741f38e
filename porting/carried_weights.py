"""The weights of a Keras file as the state dict of the module that its program makes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from porting.graph import LayerPath
from porting.keras_file import KerasFile, KerasFileError
from porting.modules import make_empty
from porting.program import Program
from porting.rules.piece import Piece


def layers_of(program: Program) -> Iterator[tuple[LayerPath, Piece]]:
    """Every layer of a program that is no model, with what it becomes; a shared one once."""
    seen: set[LayerPath] = set()
    for statement in program.walk():
        if statement.piece is not None and statement.path not in seen:
            seen.add(statement.path)
            yield statement.path, statement.piece


def carried(file: KerasFile, program: Program) -> dict[LayerPath, dict[str, Tensor]]:
    """Each layer's tensors by their names in its module: every array of the file is in it once.

    Args:
        file: Holds the weights.
        program: Of the file's graph.

    Raises:
        KerasFileError: The file has an array for which the layer's rule has no place, or lacks one.
    """
    left = set(file.weights)
    tensors: dict[LayerPath, dict[str, Tensor]] = {}
    for path, piece in layers_of(program):
        arrays = file.weights.get(path, {})
        left.discard(path)
        if arrays:
            tensors[path] = dict(
                _tensors(path, piece, {name: array.read() for name, array in arrays.items()})
            )
    if left:
        name = "/".join(min(left))
        raise KerasFileError(f'the weights of "{name}" belong to a layer that the model never calls')
    return tensors


def _tensors(path: LayerPath, piece: Piece, arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, Tensor]]:
    layer = "/".join(path)
    expected = {
        name: tuple(tensor.shape)
        for step, module in zip(piece.steps, make_empty(piece), strict=True)
        if not step.suffix
        for name, tensor in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    for name, array in arrays.items():
        place = piece.weights.get(name)
        if place is None:
            raise KerasFileError(f'"{layer}" has a weight "{name}", for which there is no place')
        if not place.attribute:
            continue
        if place.axes is not None and len(place.axes) != array.ndim:
            raise KerasFileError(f'"{layer}": its {name} has {array.ndim} axes, not {len(place.axes)}')
        carried = place.carried(array)
        if expected.pop(place.attribute, None) != carried.shape:
            raise KerasFileError(f'"{layer}": its {name} is of {array.shape}, which its config does not mean')
        yield place.attribute, torch.from_numpy(carried)
    if expected:
        raise KerasFileError(f'"{layer}" lacks weights that its config asks for ({", ".join(expected)})')
