"""Reads a data trace: what Keras did with an image folder, written by keras_reference/record_data.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parity_common.augment_settings import AugmentSettings
from parity_common.command_errors import UserError
from porting.trace_folder import DATA, TraceFolder


class DataTrace(TraceFolder):
    """A trace folder of an image folder.

    Args:
        folder: Holds trace.json and arrays.npz.

    Attributes:
        classes: In label order.
        files: By "training" and "validation", below the image folder, with "/".
        sample: The training images that were looked at.
        image_size: Height and width in pixels.
        validation_split: Share of each class.
        augment: ImageDataGenerator's arguments.
        parameters: What was drawn for `augmented`: image i of the sample has the i-th, and every
            `len(sample)`-th after it.
        batch: Images a step.
        order_seed: Of the recorded batch orders.

    Raises:
        UserError: The folder is missing, damaged, of a newer schema, or a model's.
    """

    def __init__(self, folder: Path | str) -> None:
        super().__init__(folder)
        if self.kind != DATA:
            raise UserError(
                f"{self.folder} records a {self.kind}, no image folder: give --port, not --images"
            )
        data = self.said("data")
        try:
            self.classes: list[str] = data["classes"]
            self.files: dict[str, list[str]] = data["files"]
            self.sample: list[str] = data["sample"]
            self.image_size: tuple[int, int] = (data["image_size"][0], data["image_size"][1])
            self.validation_split: float = data["validation_split"]
            self.augment = augment_settings(data["augment"])
            self.parameters: list[dict[str, Any]] = data["parameters"]
            self.batch: int = data["batch"]
            self.order_seed: int = data["order_seed"]
        except (KeyError, TypeError, IndexError) as error:
            raise UserError(f"{self._path} is damaged: it lacks {error}; record it again") from error


def augment_settings(arguments: dict[str, Any]) -> AugmentSettings:
    """ImageDataGenerator's arguments with its own default of no rescaling.

    Raises:
        UserError: One that a port has no counterpart for.
    """
    known = AugmentSettings.__dataclass_fields__
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise UserError(f"ImageDataGenerator's {unknown[0]} is not supported here: one of {', '.join(known)}")
    return AugmentSettings(**({"rescale": None} | arguments))
