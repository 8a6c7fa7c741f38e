"""What an image is like on its way through a pipeline, and how a builder says that it cannot honour one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lightning_impl.augment.batched.steps import Operation


@dataclass(frozen=True)
class Stage:
    """Images on their way through a pipeline.

    Attributes:
        size: Height and width in pixels.
        levels: uint8 of 0-255; `255`, float32 of 0-255; `free`, float32 of any range, after normalising.
    """

    size: tuple[int, int]
    levels: Literal["uint8", "255", "free"]


class Refusal(Exception):
    """Why a transform cannot run in a batch.

    Args:
        reasons: Which argument, or what else is wrong, and what to use in its place.
    """

    def __init__(self, reasons: list[tuple[str, str]]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


Built = tuple[Operation, Stage]
Builder = Callable[[Any, Stage], Built]


def refuse(*checks: tuple[bool, str, str]) -> None:
    """Raises one Refusal with all that is wrong.

    Args:
        checks: Whether it is wrong, which argument, and what to use in its place.

    Raises:
        Refusal: At least one is.
    """
    reasons = [(argument, instead) for is_wrong, argument, instead in checks if is_wrong]
    if reasons:
        raise Refusal(reasons)


def same_stage(make: Callable[[Any], Operation]) -> Builder:
    """The builder of an operation that takes any images and leaves their size and type as they are."""
    return lambda transform, stage: (make(transform), stage)


def needs_uint8(stage: Stage) -> tuple[bool, str, str]:
    """A check for `refuse`: Albumentations takes float images as 0-1 there, and cuts them off."""
    instead = "takes float images as 0-1: use mode='faithful', and normalise after it"
    return stage.levels != "uint8", "float images", instead
