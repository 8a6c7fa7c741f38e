"""The weights of a converted model under the names that its model.py gives them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from porting.emit.model_source import ModelSource, module_name
from porting.graph import LayerPath


def state_of(source: ModelSource, tensors: Mapping[LayerPath, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """A state dict, without what torch counts for itself (`num_batches_tracked`).

    Args:
        source: The model.
        tensors: Each layer's, as `carried` gives them.
    """
    return {
        f"{module_of(source, path)}.{name}": tensor
        for path, named in tensors.items()
        for name, tensor in named.items()
    }


def module_of(source: ModelSource, path: LayerPath) -> str:
    """The name of a layer's module, from the whole model on."""
    return module_name(source.places, path)
