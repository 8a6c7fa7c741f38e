"""The optimizer's variables in a Keras file, each given to its weight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from porting.graph import LayerPath
from porting.keras_file.stored import StoredArray

WeightKey = tuple[LayerPath, str]
"""A weight: its layer's path, and its name."""


@dataclass(frozen=True)
class OptimizerState:
    """The optimizer's variables.

    Attributes:
        scalars: "iteration", "learning_rate" and others of the optimizer as a whole.
        slots: Slot ("m", "velocity" …) to weight to array, under the names of the Keras that wrote it.
        unnamed: Arrays that cannot be given to a weight, in their order.
    """

    scalars: Mapping[str, StoredArray] = field(default_factory=dict)
    slots: Mapping[str, Mapping[WeightKey, StoredArray]] = field(default_factory=dict)
    unnamed: tuple[StoredArray, ...] = ()


# After the weight's name and an underscore, in Keras 3's .h5 files.
_KERAS3_SLOTS = (
    "momentum",
    "velocity",
    "velocity_hat",
    "norm",
    "accumulator",
    "linear",
    "average_gradient",
    "accumulated_grad",
    "accumulated_delta_var",
    "average",
    "gradient_accumulator",
)
# Slots in the order in which Keras makes them: those of one tuple weight by weight, then the next tuple. A
# name after "?" stands for the argument without which the tuple is not made. Source: `build` of each
# optimizer, keras 3.15 and tf_keras 2.21.
Order = Mapping[str, tuple[tuple[str, ...], ...]]
# What any of them keeps before its own.
_SHARED = ("average?use_ema", "gradient_accumulator?gradient_accumulation_steps")
_OWN_KERAS3_ORDER: Order = {
    **dict.fromkeys(
        ("Adam", "AdamW", "Nadam", "Lamb"), (("momentum", "velocity"), ("velocity_hat?amsgrad",))
    ),
    "Adamax": (("momentum", "norm"),),
    "RMSprop": (("velocity",), ("momentum?momentum",), ("average_gradient?centered",)),
    "SGD": (("momentum?momentum",),),
    "Lion": (("momentum",),),
    "Adagrad": (("accumulator",),),
    "Adadelta": (("accumulated_grad", "accumulated_delta_var"),),
    "Ftrl": (("accumulator", "linear"),),
}
_OWN_TF211_ORDER: Order = {
    **_OWN_KERAS3_ORDER,
    **dict.fromkeys(("Adam", "AdamW", "Nadam"), (("m", "v"), ("vhat?amsgrad",))),
    "Adamax": (("m", "u"),),
    "SGD": (("m",),),
    "Lion": (("m",),),
}
KERAS3_ORDER: Order = {name: (_SHARED, *own) for name, own in _OWN_KERAS3_ORDER.items()}
TF211_ORDER: Order = {name: (_SHARED, *own) for name, own in _OWN_TF211_ORDER.items()}
# Before TensorFlow's Keras, and in it before TF 2: slot by slot. The names are those of TF 2's optimizers,
# whose rules are the same. Source: keras 2.0 and 2.3 optimizers.py.
KERAS2_ORDER: Order = {
    **dict.fromkeys(("Adam", "Nadam", "Adamax"), (("m",), ("v",), ("vhat?amsgrad",))),
    "RMSprop": (("rms",),),
    "SGD": (("momentum",),),
    "Adagrad": (("accumulator",),),
    "Adadelta": (("accum_grad",), ("accum_var",)),
}


def state_by_names(
    arrays: Sequence[StoredArray], weights: Mapping[WeightKey, StoredArray], group: str
) -> OptimizerState:
    """The state from an .h5 file, whose arrays have names.

    Of a weight "conv/kernel" they are "Adam/conv/kernel/m:0" (TF 2), "Adam/m/conv/kernel:0" (TF 2.11) or
    "adam/conv_kernel_momentum" (Keras 3). Keras before TensorFlow's wrote names that tell nothing, such as
    "training/Adam/Variable_3:0": its arrays stay unnamed, and `state_by_order` tells them apart.

    Args:
        arrays: In the file's order.
        weights: Every weight of the model.
        group: Holds the weights in the file, "model_weights".
    """
    keys: dict[str, list[WeightKey]] = defaultdict(list)
    for key, array in weights.items():
        variable = array.name.removeprefix(f"{group}/{key[0][0]}/").removesuffix(":0")
        keys[variable].append(key)
        keys[variable.replace("/", "_")].append(key)
    scalars: dict[str, StoredArray] = {}
    slots: dict[str, dict[WeightKey, StoredArray]] = defaultdict(dict)
    unnamed = []
    for array in arrays:
        readings = [(slot, keys[name]) for slot, name in _readings(array.name) if name in keys]
        fits = [(slot, found) for slot, found in readings if weights[found[0]].shape == array.shape]
        # Two weights of one name cannot be told apart.
        if fits and len(set(fits[0][1])) == 1:
            slots[fits[0][0]][fits[0][1][0]] = array
        elif array.shape == ():
            scalars[_scalar_name(array)] = array
        else:
            unnamed.append(array)
    return OptimizerState(scalars, dict(slots), tuple(unnamed))


def without_others(state: OptimizerState, trained: Set[WeightKey]) -> OptimizerState:
    """The state without the slots of another model that the same optimizer trained before.

    They are left out where every weight of this one has its slots, and the others' names say that they are
    slots of something else.
    """
    is_whole = all(set(arrays) == trained for arrays in state.slots.values())
    others = [{slot for slot, _ in _readings(array.name)} for array in state.unnamed]
    if is_whole and all(slots & set(state.slots) for slots in others):
        return replace(state, unnamed=())
    return state


def state_by_order(
    arrays: Sequence[StoredArray],
    trained: Sequence[WeightKey],
    weights: Mapping[WeightKey, StoredArray],
    optimizer: str | None,
    config: Mapping[str, Any],
    order: Order,
) -> OptimizerState:
    """The state from arrays in Keras's order, without names: scalars first, then the slots.

    Args:
        arrays: By their numbers.
        trained: The weights that the optimizer trains, in its order.
        weights: Every weight of the model.
        optimizer: Its class.
        config: Its arguments.
        order: Of the Keras that wrote the file.
    """
    numbered = [array for array in arrays if array.shape == ()]
    scalars = dict(zip(_scalar_names(numbered), numbered, strict=True))
    blocks = order.get(optimizer or "", ())
    expected = [
        (slot, key)
        for block in (_made(block, config) for block in blocks)
        for key in trained
        for slot in block
    ]
    stored = [array for array in arrays if array.shape != ()]
    # Keras 2's Adam without amsgrad keeps an array of one number for each weight in its place.
    if all(array.shape == (1,) for array in stored[len(expected) :]):
        stored = stored[: max(len(expected), 1)]
    fits = len(expected) == len(stored) and all(
        weights[key].shape == array.shape for (_, key), array in zip(expected, stored, strict=True)
    )
    if not fits:
        return OptimizerState(scalars, unnamed=tuple(stored))
    slots: dict[str, dict[WeightKey, StoredArray]] = defaultdict(dict)
    for (slot, key), array in zip(expected, stored, strict=True):
        slots[slot][key] = array
    return OptimizerState(scalars, dict(slots))


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """The ways to read an array's name as a slot and a weight's name."""
    parts = name.removesuffix(":0").split("/")
    for start in range(1, len(parts) - 1):
        yield parts[-1], "/".join(parts[start:-1])
        yield parts[start], "/".join(parts[start + 1 :])
    for slot in _KERAS3_SLOTS:
        if parts[-1].endswith(f"_{slot}"):
            yield slot, parts[-1].removesuffix(f"_{slot}")


def _scalar_name(array: StoredArray) -> str:
    name = array.name.removesuffix(":0").rpartition("/")[2]
    return "iteration" if name in ("iter", "iterations") else name


def _scalar_names(arrays: Sequence[StoredArray]) -> list[str]:
    """Keras makes the iteration first, Keras 3 then the learning rate; Nadam has a third."""
    names = ["iteration", "learning_rate", "u_product"] if len(arrays) <= 3 else []
    return [*names, *(str(number) for number in range(len(arrays)))][: len(arrays)]


def _made(block: tuple[str, ...], config: Mapping[str, Any]) -> tuple[str, ...]:
    named = [slot.partition("?") for slot in block]
    return tuple(name for name, _, argument in named if not argument or config.get(argument))
