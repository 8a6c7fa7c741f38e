"""An optimizer's state in a safetensors file: slots by parameter, and what it holds once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lightning_impl.keras_semantics.optimizers.base import KerasOptimizer
from parity_common.command_errors import UserError

_SCALARS = "optimizer"


def save_state(path: Path, slots: Mapping[str, Mapping[str, Tensor]], scalars: Mapping[str, float]) -> None:
    """Writes a state.

    Args:
        path: The file.
        slots: Parameter to slot to tensor, of the parameter's shape.
        scalars: As `KerasOptimizer.load_keras_scalars` takes them.
    """
    tensors = {f"{name}/{slot}": value for name, named in slots.items() for slot, value in named.items()}
    for name, value in scalars.items():
        tensors[f"{_SCALARS}/{name}"] = torch.tensor(value, dtype=torch.float64)
    save_file(tensors, path)


def load_state(optimizer: KerasOptimizer, net: nn.Module, path: Path) -> None:
    """Brings an optimizer to where the one of the file was.

    Args:
        optimizer: Trains parameters of the net. Changed in place.
        net: Names the parameters as the file does.
        path: What `save_state` wrote.

    Raises:
        UserError: A trained parameter has no slots there.
    """
    by_owner: dict[str, dict[str, Tensor]] = {}
    for key, value in load_file(path).items():
        owner, _, name = key.rpartition("/")
        by_owner.setdefault(owner, {})[name] = value
    trained = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in net.named_parameters():
        if parameter not in trained:
            continue
        if name not in by_owner and optimizer.slot_names:
            raise UserError(f"{path} has no state for {name}: train what it trained, or begin it anew")
        optimizer.load_slots(parameter, by_owner.get(name, {}))
    optimizer.load_keras_scalars({name: value.item() for name, value in by_owner.get(_SCALARS, {}).items()})
