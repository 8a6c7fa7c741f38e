"""What a batched pipeline is made of: operations on some images of a batch, gated and grouped.

As Albumentations gates and groups: albumentations 2.0.8 core/composition.py, core/transforms_interface.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from lightning_impl.augment.sampling import Draws, Rows

# Takes the images of `rows`, `(len(rows), C, H, W)`, and draws what it needs for them.
Operation = Callable[[Tensor, Draws, Rows], Tensor]


class Step(Protocol):
    """A part of a pipeline."""

    def run(self, images: Tensor, draws: Draws, rows: Rows, force: bool = False) -> Tensor:
        """Runs on the images of `rows`; the others of `images` `(N, C, H, W)` stay as they are.

        Args:
            images: The whole batch.
            draws: Of the batch.
            rows: Which images have come as far as this step.
            force: Whether it runs without asking its own probability, as OneOf has it.
        """
        ...


@dataclass(frozen=True)
class Gated:
    """One transform with its probability."""

    operation: Operation
    p: float

    def run(self, images: Tensor, draws: Draws, rows: Rows, force: bool = False) -> Tensor:
        if self.p <= 0:
            return images
        if self.p < 1 and not force:
            rows = rows[draws.random(rows) < self.p]
        if len(rows) == 0:
            return images
        if len(rows) == len(images):
            return self.operation(images, draws, rows)
        places = torch.from_numpy(rows).to(images.device)
        # In place: the pipeline has a copy of its own.
        return images.index_copy_(0, places, self.operation(images[places], draws, rows))


@dataclass(frozen=True)
class InOrder:
    """Compose and Sequential: a number is drawn for the probability even where it is 1."""

    steps: Sequence[Step]
    p: float

    def run(self, images: Tensor, draws: Draws, rows: Rows, force: bool = False) -> Tensor:
        if not force:
            numbers = draws.random(rows)
            rows = rows if self.p >= 1 else rows[numbers < self.p]
        for step in self.steps:
            images = step.run(images, draws, rows)
        return images


@dataclass(frozen=True)
class OneOf:
    """One of the steps, the likelier the larger its probability, which is not asked again."""

    steps: Sequence[Step]
    weights: Sequence[float]
    p: float

    def run(self, images: Tensor, draws: Draws, rows: Rows, force: bool = False) -> Tensor:
        if not force:
            rows = rows[draws.random(rows) < self.p]
        chosen = draws.weighted(self.weights, rows)
        for place, step in enumerate(self.steps):
            images = step.run(images, draws, rows[chosen == place], force=True)
        return images


@dataclass(frozen=True)
class SomeOf:
    """`count` of the steps in their order, each with its own probability; `force` is not heeded."""

    steps: Sequence[Step]
    count: int
    replace: bool
    p: float

    def run(self, images: Tensor, draws: Draws, rows: Rows, force: bool = False) -> Tensor:
        rows = rows[draws.random(rows) < self.p]
        if self.replace:
            chosen = np.stack([draws.below(len(self.steps), rows) for _ in range(self.count)], axis=1)
        else:
            chosen = draws.distinct(len(self.steps), self.count, rows)
        times = np.stack([(chosen == place).sum(1) for place in range(len(self.steps))], axis=1)
        for place, step in enumerate(self.steps):
            for turn in range(self.count if self.replace else 1):
                images = step.run(images, draws, rows[times[:, place] > turn])
        return images
