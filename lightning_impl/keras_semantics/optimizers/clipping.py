"""Keras's three ways to clip gradients. None of them writes into the gradients it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def clip(gradients: list[Tensor], arguments: Mapping[str, Any], legacy: bool) -> list[Tensor]:
    """The gradients as `clipvalue`, `clipnorm` and `global_clipnorm` leave them.

    Legacy optimizers apply all that are given, value first; Keras 3 has one, and ignores a 0.

    Source: tf_keras 2.21 optimizers/legacy/optimizer_v2.py, `_transform_gradients`; keras 3.15
    optimizers/base_optimizer.py, `_clip_gradients`.

    Args:
        gradients: Of every parameter that has one, of any shapes.
        arguments: Holds the three.
        legacy: The generation.
    """
    value, norm, global_norm = (arguments[name] for name in ("clipvalue", "clipnorm", "global_clipnorm"))
    if value is not None and (legacy or value > 0):
        gradients = list(torch._foreach_clamp_min(torch._foreach_clamp_max(gradients, value), -value))
    if norm is not None and (legacy or norm > 0):
        gradients = _by_norm(gradients, norm)
    if global_norm is not None and (legacy or global_norm > 0):
        gradients = _by_global_norm(gradients, global_norm)
    return gradients


def _by_norm(gradients: list[Tensor], limit: float) -> list[Tensor]:
    # g * limit / max(|g|, limit), a tensor at a time (tf.clip_by_norm).
    longest = torch._foreach_clamp_min(torch._foreach_norm(gradients), limit)
    clipped = torch._foreach_mul(gradients, limit)
    torch._foreach_div_(clipped, longest)
    return list(clipped)


def _by_global_norm(gradients: list[Tensor], limit: float) -> list[Tensor]:
    # g * limit * min(1 / |all g|, 1 / limit) (tf.clip_by_global_norm); an infinite norm makes all NaN.
    norms = [norm.to(gradients[0]) for norm in torch._foreach_norm(gradients)]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    scale = limit * torch.clamp_max(1 / norm, 1 / limit) + (norm - norm)
    return [gradient * scale.to(gradient) for gradient in gradients]
