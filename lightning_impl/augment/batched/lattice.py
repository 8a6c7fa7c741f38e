"""Flips and quarter turns: pixels change places, no value changes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import albumentations as A
import numpy as np
import torch
from torch import Tensor

from lightning_impl.augment.batched.per_image import change_some, own_copy
from lightning_impl.augment.batched.stage import Builder, Built, Stage, refuse, same_stage
from lightning_impl.augment.sampling import Draws, Rows


def leave(images: Tensor, draws: Draws, rows: Rows) -> Tensor:
    return images


def flip_horizontally(images: Tensor, draws: Draws, rows: Rows) -> Tensor:
    return images.flip(3)


def flip_vertically(images: Tensor, draws: Draws, rows: Rows) -> Tensor:
    return images.flip(2)


def transpose(images: Tensor, draws: Draws, rows: Rows) -> Tensor:
    return images.transpose(2, 3)


def turn(images: Tensor, draws: Draws, rows: Rows) -> Tensor:
    """Turns each square image by 0, 1, 2 or 3 quarters, against the clock."""
    quarters = draws.randint(0, 3, rows)
    turned = own_copy(images)
    for count in (1, 2, 3):
        change_some(turned, np.flatnonzero(quarters == count), partial(torch.rot90, k=count, dims=(2, 3)))
    return turned


def build_transpose(transform: Any, stage: Stage) -> Built:
    height, width = stage.size
    return transpose, replace(stage, size=(width, height))


def build_turn(transform: Any, stage: Stage) -> Built:
    height, width = stage.size
    refuse((height != width, f"images of {height} x {width}", "only square images keep their size"))
    return turn, stage


BUILDERS: dict[type, Builder] = {
    A.NoOp: same_stage(lambda transform: leave),
    A.HorizontalFlip: same_stage(lambda transform: flip_horizontally),
    A.VerticalFlip: same_stage(lambda transform: flip_vertically),
    A.Transpose: build_transpose,
    A.RandomRotate90: build_turn,
}
