"""Python names for Keras layers and for what they are folded into."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Sequence

from torch import nn

from lightning_impl.keras_semantics.schedules import SCHEDULES
from porting.emit.operations import Operation
from porting.emit.prefix import common_prefix

# By torch, and by the method that model.py itself has.
_TAKEN = frozenset({*dir(nn.Sequential()), "probabilities"})
# What forward may call by its name: an argument of that name would hide it.
_CALLED = frozenset({*dir(builtins), "F", "math", "nn", "self", "torch"})
# By model.py, or by lightning_module.py beside the model's class.
_IMPORTED = frozenset(
    {
        "Accuracy",
        "Any",
        "BinaryCrossentropy",
        "Callable",
        "CategoricalCrossentropy",
        "CompiledModule",
        "F",
        "HERE",
        "LightningModule",
        "Loss",
        "Mapping",
        "MeanSquaredError",
        "Optimizer",
        "OrderedDict",
        "Path",
        "Sequence",
        "Tensor",
        *SCHEDULES,
    }
)
_BASES = {
    "Conv": "conv",
    "BatchNorm": "norm",
    "Norm": "norm",
    "Linear": "linear",
    "Pool": "pool",
    "Pad": "pad",
}


def attribute_name(name: str, taken: Iterable[str] = ()) -> str:
    """A module's attribute for a Keras name: "conv1/bn" becomes conv1_bn; unique among `taken`."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII).strip("_") or "layer"
    # "1_conv" is a name in Keras, "conv_1" one in Python.
    if leading := re.fullmatch(r"(\d+)_(.+)", found):
        found = f"{leading[2]}_{leading[1]}"
    if found[0].isdigit() or keyword.iskeyword(found) or found in _TAKEN:
        found = f"layer_{found}" if found[0].isdigit() else f"{found}_"
    return _unique(found, taken)


def argument_name(name: str, taken: Iterable[str], functions: Iterable[str]) -> str:
    """An argument of forward for a Keras name, unique among `taken`.

    Args:
        name: The Keras layer's.
        taken: Other arguments.
        functions: What forward may call.
    """
    found = attribute_name(name)
    hides = found in _CALLED or found in functions
    return _unique(f"{found}_" if hides else found, taken)


def plain_text(text: str) -> str:
    """A text as it may stand in a docstring: one from a file must not be able to end it."""
    return "".join(each if each.isprintable() and each not in '"\\' else "_" for each in text)


def class_name(name: str, taken: Iterable[str] = ()) -> str:
    """A class's name for a Keras model's: "mini_xception" becomes MiniXception."""
    parts = re.findall(r"[A-Za-z0-9]+", name)
    found = "".join(part[:1].upper() + part[1:] for part in parts) or "Model"
    if found[0].isdigit() or found in _IMPORTED or keyword.iskeyword(found):
        found = f"Model{found}"
    return _unique(found, taken, "")


def block_class_name(
    uses: Sequence[Sequence[str]], operations: Sequence[Operation], taken: Iterable[str] = ()
) -> str:
    """A block's class: by what its uses have in common, by what its branches end in, or what it mostly is.

    Args:
        uses: For each use, the Keras names of its layers.
        operations: Of the first use.
        taken: Names that it cannot have.
    """
    stems = {re.sub(r"\d+", "", common_prefix(names)).strip("_/.-") for names in uses}
    stem = stems.pop() if len(stems) == 1 else ""
    if len(stem) > 2:
        return class_name(stem, taken)
    merges = {operation.function or "" for operation in operations if len(operation.inputs) > 1}
    callees = [operation.make.callee for operation in operations if operation.make is not None]
    if any(" + " in merge for merge in merges):
        found = "ResidualBlock"
    elif any("torch.cat" in merge for merge in merges):
        found = "DenseBlock"
    elif any(" * " in merge for merge in merges):
        found = "GatedBlock"
    else:
        found = "ConvBlock" if any("Conv" in callee for callee in callees) else "Block"
    return _unique(found, taken, "")


def names_in_block(uses: Sequence[Sequence[str]], operations: Sequence[Operation]) -> list[str]:
    """The attributes of a block's modules.

    Args:
        uses: For each use, the Keras names of the modules in it.
        operations: Of the first use, those that are modules.
    """
    stripped = [[name.removeprefix(common_prefix(names)) for name in names] for names in uses]
    names: list[str] = []
    alike = all(each == stripped[0] for each in stripped) and all(stripped[0])
    for place, operation in enumerate(operations):
        base = stripped[0][place] if alike else _base(operation)
        names.append(attribute_name(base, names))
    return names


def use_name(names: Sequence[str], number: int, taken: Iterable[str]) -> str:
    """The attribute of one use of a block: what its layers' names have in common."""
    prefix = common_prefix(names).rstrip("_/.-")
    return attribute_name(prefix if len(prefix) > 2 else f"block{number}", taken)


def _base(operation: Operation) -> str:
    assert operation.make is not None
    callee = operation.make.callee.removeprefix("nn.")
    return next((base for part, base in _BASES.items() if part in callee), callee.lower().rstrip("123d"))


def _unique(name: str, taken: Iterable[str], separator: str = "_") -> str:
    used = set(taken)
    if name not in used:
        return name
    numbered = (f"{name}{separator}{number}" for number in range(2, len(used) + 3))
    return next(each for each in numbered if each not in used)
