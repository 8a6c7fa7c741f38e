"""Keras's weight regularisers: what they add to the loss, in training and in evaluation alike (D18)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError

Penalty = Callable[[Tensor], Tensor]


def l1_l2(profile: Profile, l1: float = 0.0, l2: float = 0.0) -> Penalty:
    """l1 * sum(|w|) + l2 * sum(w^2); weight_decay has a half (keras 3.15 regularizers/regularizers.py)."""

    if profile.penalty_factors_are_float32:
        l1, l2 = float(np.float32(l1)), float(np.float32(l2))

    def penalty(weight: Tensor) -> Tensor:
        # A sum of many squares in half precision would be no figure.
        weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
        total = torch.zeros((), dtype=weight.dtype, device=weight.device)
        if l1:
            total = total + l1 * weight.abs().sum()
        if l2:
            total = total + l2 * weight.square().sum()
        return total

    return penalty


def regularizer_from_keras_config(class_name: str, config: Mapping[str, Any], profile: Profile) -> Penalty:
    """The penalty of a Keras regulariser.

    Raises:
        UserError: Any other than L1, L2 and L1L2.
    """
    if class_name not in ("L1", "L2", "L1L2"):
        raise UserError(f"no rule for the regularizer {class_name}: L1, L2 and L1L2 have one")
    return l1_l2(profile, float(config.get("l1", 0.0)), float(config.get("l2", 0.0)))
