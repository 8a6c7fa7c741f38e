"""Predictions as CSV or JSON, written as they come."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ImagePrediction:
    """What a net says of one file.

    Attributes:
        file: Its path as it was named.
        best: Class names and probabilities, the likeliest first; empty where the file cannot be read.
        error: Why it cannot be read.
    """

    file: str
    best: tuple[tuple[str, float], ...]
    error: str = ""


def write_predictions(path: Path, suffix: str, predictions: Iterable[ImagePrediction], top_k: int) -> None:
    """A row, or an object, for each prediction.

    A name that is not UTF-8 is written with backslashes for its odd bytes, as `\\udcff`.

    Args:
        path: The file.
        suffix: .csv or .json, whatever the file is called.
        predictions: In order.
        top_k: Classes each.
    """
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        if suffix == ".json":
            separator = "[\n"
            for prediction in predictions:
                file.write(separator + json.dumps(_as_object(prediction)))
                separator = ",\n"
            file.write("\n]\n")
            return
        writer = csv.writer(file, lineterminator="\n")
        ranks = [f"{name}_{rank}" for rank in range(1, top_k + 1) for name in ("class", "probability")]
        writer.writerow(["file", *ranks, "error"])
        for prediction in predictions:
            cells = [cell for pair in prediction.best for cell in pair] or [""] * len(ranks)
            writer.writerow([prediction.file, *cells, prediction.error])


def printable(text: str) -> str:
    """A file's name as a terminal may show it: line breaks, escapes and odd bytes are spelled out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )


def _as_object(prediction: ImagePrediction) -> dict:
    if prediction.error:
        return {"file": prediction.file, "error": prediction.error}
    best = [{"class": name, "probability": probability} for name, probability in prediction.best]
    return {"file": prediction.file, "predictions": best}
