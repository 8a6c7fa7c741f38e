"""Finds the optimizer's arrays in a file and gives them to the weights."""

from __future__ import annotations

from collections.abc import Sequence

from porting.graph import Graph
from porting.keras_file.hdf5 import Hdf5Contents
from porting.keras_file.layer_list_layout import Weights
from porting.keras_file.optimizer_state import (
    KERAS2_ORDER,
    OptimizerState,
    Order,
    WeightKey,
    state_by_names,
    state_by_order,
    without_others,
)
from porting.keras_file.stored import StoredArray
from porting.keras_file.training_config import TrainingConfig
from porting.keras_file.weight_plan import trained_order

_GROUP = "optimizer_weights"


def state_in_h5(
    contents: Hdf5Contents, group: str, graph: Graph, weights: Weights, training: TrainingConfig | None
) -> OptimizerState | None:
    """The optimizer's state in an .h5 file; None where it holds none.

    Args:
        contents: The file's.
        group: Holds the weights, "model_weights".
        graph: The model's.
        weights: The model's.
        training: What compile() was given.
    """
    arrays = [array for path, array in contents.arrays.items() if path.startswith(f"{_GROUP}/")]
    if not arrays:
        return None
    # The file's own order is the alphabet's; Keras's is in the list of names.
    listed = contents.attributes.get(_GROUP, {}).get("weight_names")
    if isinstance(listed, list):
        places = {f"{_GROUP}/{name}": place for place, name in enumerate(listed)}
        arrays.sort(key=lambda array: places.get(array.name, len(places)))
    flat = _flat(weights)
    state = state_by_names(arrays, flat, group)
    if state.slots:
        return without_others(state, set(_trained(graph, weights)))
    if not state.unnamed:
        return state
    # Early Keras 2 gave the optimizer the weights by their names, later ones in the model's order. Which it
    # was is seen from the shapes, unless both fit.
    in_model_order = _trained(graph, weights)
    by_name = sorted(in_model_order, key=lambda key: flat[key].name.removeprefix(f"{group}/{key[0][0]}/"))
    orders = {tuple(in_model_order), tuple(by_name)}
    states = [_by_order(arrays, order, flat, training, KERAS2_ORDER) for order in orders]
    fitting = [each for each in states if each.slots]
    return fitting[0] if len(fitting) == 1 else state


def state_in_numbers(
    arrays: Sequence[StoredArray],
    graph: Graph,
    weights: Weights,
    training: TrainingConfig | None,
    order: Order,
) -> OptimizerState | None:
    """The optimizer's state from its numbered arrays; None where there are none."""
    if not arrays:
        return None
    return _by_order(arrays, _trained(graph, weights), _flat(weights), training, order)


def numbered_arrays(contents: Hdf5Contents, prefix: str) -> list[StoredArray]:
    """The arrays whose path is `prefix` and a number, by that number."""
    numbered = [
        (path[len(prefix) :], array) for path, array in contents.arrays.items() if path.startswith(prefix)
    ]
    # Nobody has a billion.
    numbers = [(int(number), array) for number, array in numbered if number.isdecimal() and len(number) < 10]
    return [array for _, array in sorted(numbers, key=lambda each: each[0])]


def _by_order(
    arrays: Sequence[StoredArray],
    trained: Sequence[WeightKey],
    flat: dict[WeightKey, StoredArray],
    training: TrainingConfig | None,
    order: Order,
) -> OptimizerState:
    if training is None:
        return state_by_order(arrays, trained, flat, None, {}, order)
    return state_by_order(arrays, trained, flat, training.optimizer, training.optimizer_config, order)


def _flat(weights: Weights) -> dict[WeightKey, StoredArray]:
    return {(path, name): array for path, arrays in weights.items() for name, array in arrays.items()}


def _trained(graph: Graph, weights: Weights) -> list[WeightKey]:
    """The optimizer's weights in its order. Those of a layer of an unknown class are all taken as trained."""
    return [
        (path, name)
        for path, weight in trained_order(graph)
        for name in ([weight.name] if weight is not None else weights.get(path, {}))
    ]
