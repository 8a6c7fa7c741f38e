"""proof.json and proof.html: every figure, and a page that needs no network and no other file."""

from __future__ import annotations

import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

import jinja2

from parity_common.run_folder import write_text_atomically
from porting.keras_file import KerasFile
from porting.proof.interpreters import RECORDER, SEED
from porting.proof.residuals import Figure
from porting.proof.verdict import GRADIENTS, LAYERS, OUTPUTS, STRUCTURE, WEIGHTS, Line, Proof

SCHEMA_VERSION = 1
# A bar is empty at float64's round-off and full at a residual of 1.
_LEAST_EXPONENT = -16.0
# Two runs of each dtype; extreme inputs have no gradients.
_RUNS = ("float32 random", "float32 extreme", "float64 random", "float64 extreme")

# Names of layers are anybody's: everything is escaped.
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("porting.proof"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_report(out: Path, file: KerasFile, proof: Proof) -> None:
    """Writes both into a folder, each whole or not at all."""
    write_text_atomically(out / "proof.json", proof_json(file, proof))
    write_text_atomically(out / "proof.html", proof_page(file, proof))


def proof_json(file: KerasFile, proof: Proof) -> str:
    """Every figure of a proof."""
    said = {
        "schema": SCHEMA_VERSION,
        "file": file.path.name,
        "format": file.format,
        "keras_version": file.keras_version,
        "holds": proof.holds,
        "line": proof.line,
        "why_not": proof.why_not,
        "keras": proof.keras,
        "attempts": [
            {"package": each.package, "reason": each.reason, "unread": each.unread} for each in proof.attempts
        ],
        "notes": list(proof.notes),
        "versions": proof.versions,
        "first": None if proof.first is None else proof.first.name,
        "lines": [
            {
                "rung": line.rung,
                "name": line.name,
                "kind": line.kind,
                "shape": line.shape,
                "holds": line.holds,
                "fault": line.fault,
                "figures": {
                    run: {"residual": _number(figure.residual), "allowed": figure.allowed}
                    for run, figure in line.figures.items()
                },
            }
            for line in proof.lines
        ],
    }
    return json.dumps(said, indent=1, allow_nan=False) + "\n"


def proof_page(file: KerasFile, proof: Proof) -> str:
    """The page."""
    return _TEMPLATES.get_template("proof.html").render(
        file=file,
        proof=proof,
        tiles=_tiles(proof),
        sections=[(title, said, _rows(proof.of(rung))) for title, said, rung in _SECTIONS if proof.of(rung)],
        structure=[line for line in proof.of(STRUCTURE) + proof.of(WEIGHTS) if not line.holds],
        command=command_of(file, proof),
    )


_SECTIONS = (
    ("Layers", "What every layer gives, in the order in which Keras runs them.", LAYERS),
    ("Outputs", "What the model gives: run layer by layer, and as it was converted.", OUTPUTS),
    ("Gradients", "Of the outputs' weighted sum, by every weight and input.", GRADIENTS),
)


def command_of(file: KerasFile, proof: Proof) -> str:
    """What records the same again."""
    package = proof.attempts[-1].package if proof.attempts else "auto"
    recorder = os.path.relpath(RECORDER, RECORDER.parents[1])
    words = ["python", recorder, file.path.name, "--keras", package, "--seed", str(SEED), "--extreme"]
    return " ".join(shlex.quote(word) for word in [*words, "--out", "recording"])


def _tiles(proof: Proof) -> list[tuple[str, str]]:
    """Headline figures, with what they are of."""
    tiles = []
    for rung, what in ((LAYERS, "activation"), (GRADIENTS, "gradient")):
        for dtype in ("float32", "float64"):
            residual = proof.largest(rung, dtype)
            if proof.compared(rung, dtype):
                shown = "hidden by round-off" if residual is None else _shown(residual)
                tiles.append((f"Worst {what}, {dtype}", shown))
    structure = proof.of(STRUCTURE)
    if structure:
        alike = sum(line.holds for line in structure)
        tiles.append(("Layers and parameters alike", f"{alike} of {len(structure)}"))
        arrays = proof.of(WEIGHTS)
        same = sum(line.holds for line in arrays)
        if proof.was_given_weights:
            return tiles
        tiles.append(("Layers whose weights are bitwise Keras's", f"{same} of {len(arrays)}"))
    return tiles


def _rows(lines: list[Line]) -> dict[str, Any]:
    runs = [run for run in _RUNS if any(run in line.figures for line in lines)]
    return {
        "runs": runs,
        "lines": [(line, [_cell(line.figures.get(run)) for run in runs]) for line in lines],
    }


def _cell(figure: Figure | None) -> dict[str, str] | None:
    """A residual, its bar's length of 1, and what it may be."""
    if figure is None:
        return None
    exponent = math.log10(figure.residual) if 0 < figure.residual < math.inf else 0.0
    share = (exponent - _LEAST_EXPONENT) / -_LEAST_EXPONENT if figure.residual else 0.0
    return {
        "text": _shown(figure.residual),
        "share": f"{min(max(share, 0.0), 1.0):.3f}",
        "allowed": f"{figure.allowed:.1e}",
        "kind": "right" if figure.holds else "wrong",
    }


def _shown(residual: float) -> str:
    if residual == 0:
        return "0"
    return f"{residual:.1e}" if math.isfinite(residual) else "infinite"


def _number(residual: float) -> float | str:
    """JSON has no infinity."""
    return residual if math.isfinite(residual) else "infinite"
