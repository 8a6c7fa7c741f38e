"""Parameters that one foreach call can update together, with their gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_impl.keras_semantics.optimizers.clipping import clip
from lightning_impl.keras_semantics.optimizers.state import Group


@dataclass
class Bucket:
    """Parameters of one group, dtype and device that have a gradient."""

    group: Group
    parameters: list[Tensor]
    gradients: list[Tensor]


def buckets_of(groups: Iterable[Group]) -> list[Bucket]:
    """The parameters that have a gradient, in their order."""
    buckets: list[Bucket] = []
    for group in groups:
        found: dict[tuple[torch.dtype, torch.device], Bucket] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            key = (parameter.dtype, parameter.device)
            if key not in found:
                found[key] = Bucket(group, [], [])
            found[key].parameters.append(parameter)
            found[key].gradients.append(parameter.grad)
        buckets.extend(found.values())
    return buckets


def clip_buckets(buckets: list[Bucket], arguments: Mapping[str, Any], legacy: bool) -> None:
    """Puts clipped gradients in the place of the gradients, see `clip`."""
    if arguments["clipnorm"] is arguments["clipvalue"] is arguments["global_clipnorm"] is None:
        return
    gradients = clip([gradient for bucket in buckets for gradient in bucket.gradients], arguments, legacy)
    for bucket in buckets:
        count = len(bucket.gradients)
        bucket.gradients, gradients = gradients[:count], gradients[count:]
