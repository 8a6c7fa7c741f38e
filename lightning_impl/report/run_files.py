"""What a run folder holds, read for its page: each part absent where the run has not left it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

from lightning_impl.report.confusion import read_confusion
from parity_common.command_errors import UserError
from parity_common.contact_sheet import read_tiles
from parity_common.predictions import Prediction, most_confident_mistakes, read_predictions
from parity_common.run_folder import RunFolder
from parity_common.run_pictures import AUGMENTATIONS, AUGMENTED_IMAGES, MISTAKE_COLUMNS, MOST_MISTAKES

# What the page shows of result.json; runs of older versions have less.
RESULT_KEYS = (
    "framework",
    "seconds",
    "images_per_second",
    "device",
    "parameters",
    "training_images",
    "validation_images",
    "classes",
    "versions",
)


@dataclass(frozen=True)
class RunFiles:
    """Read lazily, each file once.

    Attributes:
        run: The folder.

    Raises:
        UserError: On construction: not a run folder. On reading: a damaged file, by its name.
    """

    run: RunFolder

    def __post_init__(self) -> None:
        if not self._has("config.yaml") and not self._has("metrics.csv"):
            raise UserError(f"{self.run.path} is not a run folder: it has no config.yaml and no metrics.csv")

    @cached_property
    def rows(self) -> list[dict]:
        """Those of metrics.csv; empty where no epoch has finished."""
        return self.run.read_metrics() if self._has("metrics.csv") else []

    @property
    def is_finished(self) -> bool:
        """Whether the best checkpoint has been evaluated."""
        return self._has("result.json")

    @cached_property
    def result(self) -> dict[str, Any]:
        """result.json, with None for what of RESULT_KEYS it lacks, or all where the run has not finished."""
        path = self.run.path / "result.json"
        if not self.is_finished:
            return dict.fromkeys(RESULT_KEYS)
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(result, dict):
                raise ValueError("it holds no object")
            return dict.fromkeys(RESULT_KEYS) | result
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}): remove it or run again") from error

    @cached_property
    def config_text(self) -> str | None:
        """config.yaml as it stands."""
        path = self.run.path / "config.yaml"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.yaml's keys; empty where it is absent."""
        try:
            config = yaml.safe_load(self.config_text or "")
        except yaml.YAMLError as error:
            raise UserError(f"{self.run.path / 'config.yaml'} is damaged: mend or remove it") from error
        return config if isinstance(config, dict) else {}

    @cached_property
    def confusion(self) -> tuple[list[str], NDArray[np.int64]] | None:
        """Class names and counts."""
        return read_confusion(self.run.path / "confusion.csv") if self._has("confusion.csv") else None

    @cached_property
    def predictions(self) -> list[Prediction] | None:
        """Of every validation image."""
        return read_predictions(self.run.path / "predictions.csv") if self._has("predictions.csv") else None

    @cached_property
    def mistakes(self) -> list[tuple[Prediction, Image.Image | None]] | None:
        """The most confident mistakes, with their pictures where the run has left them."""
        if self.predictions is None:
            return None
        wrong = [
            self.predictions[place] for place in most_confident_mistakes(self.predictions, MOST_MISTAKES)
        ]
        if not wrong or not self._has("mistakes.png"):
            return [(prediction, None) for prediction in wrong]
        tiles = read_tiles(self.run.path / "mistakes.png", len(wrong), MISTAKE_COLUMNS)
        return list(zip(wrong, tiles, strict=True))

    @cached_property
    def augmentation(self) -> list[list[Image.Image]] | None:
        """A row for each shown image: first as it is, then augmented."""
        if not self._has("augmentation.png"):
            return None
        columns = AUGMENTATIONS + 1
        images = min(AUGMENTED_IMAGES, self.result["training_images"] or AUGMENTED_IMAGES)
        tiles = read_tiles(self.run.path / "augmentation.png", images * columns, columns)
        return [tiles[start : start + columns] for start in range(0, len(tiles), columns)]

    @cached_property
    def best_row(self) -> dict | None:
        """The earliest epoch of the highest validation accuracy so far."""
        validated = [row for row in self.rows if row["val_accuracy"] is not None]
        return max(validated, key=lambda row: (row["val_accuracy"], -row["epoch"]), default=None)

    @property
    def label(self) -> str:
        """Framework, config and start time, e.g. `keras v3 20210501-101500`."""
        place = self.run.path.resolve()
        return f"{self.result['framework'] or 'unfinished'} {place.parent.name} {place.name}"

    @property
    def classes(self) -> int | None:
        """How many; None where the run has not got so far."""
        return self.result["classes"] or (len(self.confusion[0]) if self.confusion else None)

    def missing(self) -> list[str]:
        """What the page has to do without: a sentence each."""
        if not self.is_finished:
            return [
                "The run has not finished, or was stopped: the best checkpoint has not been evaluated. "
                "The curves show the epochs so far."
            ]
        if self.rows and self.best_row is None:
            return ["No epoch was validated: there is no best checkpoint, and no figures of where it errs."]
        sentences = {
            "confusion.csv": "no confusion matrix and no figures by class",
            "predictions.csv": "no most confident mistakes",
        }
        said = [f"The run left no {name}: {what}." for name, what in sentences.items() if not self._has(name)]
        if self.mistakes and not self._has("mistakes.png"):
            said.append("The run left no mistakes.png: the most confident mistakes are without pictures.")
        if not self.result["versions"]:
            said.append("The run left no versions in its result.json.")
        return said

    def _has(self, name: str) -> bool:
        return (self.run.path / name).exists()
