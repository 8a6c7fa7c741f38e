"""docs/conversions.md: what a conversion of every net of keras.applications was measured to give."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from conftest import PROFILES, REPOSITORY

from parity_common.run_folder import write_text_atomically
from parity_tests.keras_questions.applications import SIDES
from porting.proof.residuals import TELLING

PAGE: Path = REPOSITORY / "docs" / "conversions.md"
PAIRS = [(name, profile) for name in SIDES for profile in PROFILES]
FIGURES = PAGE.with_suffix(".json")
PROVEN, NOT_RUN = "proven", "not run"
MOST_LINES = {"VGG16": 80, "ResNet50": 150}
COLUMNS = (
    *("net", "profile", "verdict", "pixels", "parameters", "lines of model.py", "seconds"),
    *("activation, float32", "float64", "at extreme inputs, float32", "float64"),
    *("gradient, float32", "float64", "tell nothing"),
)
# The rung and the runs of each of the last columns.
_FIGURES = (
    *(("layers", "float32 random"), ("layers", "float64 random")),
    *(("layers", "float32 extreme"), ("layers", "float64 extreme")),
    *(("gradients", "float32"), ("gradients", "float64")),
)
_HEAD = """# Converted networks of keras.applications

Written by `pytest parity_tests -m applications --write-pages`, each row when its net was run; every
figure is in `conversions.json`. Each net is built by Keras with random weights and settled
BatchNormalization, for 10 classes, saved as `.h5` and `.keras`, converted (both formats give the same
source and the same numbers) and compared with Keras layer by layer. Residuals are norms of differences
over norms, the worst of all layers, and of all gradients. Extreme inputs are zeros, one value, and values
ten times out of the range, at which float32 Keras can itself be far off from float64 Keras. Figures that may
for that reason be over 1% are counted under "tell nothing": there the net's other runs are the evidence, of
which each layer has one, or the row says where it parts. Gradients in float32 are looked at twice where a
ReLU or a pooling may switch at a tie. Seconds are those of `python -m porting convert`, its proof in Keras
included, once, on two cores.

"""


def page(measured: Iterable[Mapping]) -> str:
    """The page of what `measure` gave of the nets, each with a row."""
    rows = {(each["net"], each["profile"]): _row(each) for each in measured}
    lines = [rows.get(pair) or _row_without_figures(*pair) for pair in PAIRS]
    return _HEAD + "\n".join([_cells(COLUMNS), "|---" * len(COLUMNS) + "|", *lines]) + "\n"


def keep(measured: Mapping) -> None:
    """Puts what was measured of a net in the place of what an earlier run did, and writes the page."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else []
    by_pair = {(each["net"], each["profile"]): each for each in (*kept, measured)}
    figures = [by_pair[pair] for pair in PAIRS if pair in by_pair]
    write_text_atomically(FIGURES, json.dumps(figures, indent=1) + "\n")
    write_text_atomically(PAGE, page(figures))


def measure(name: str, profile: str, found: Mapping) -> dict:
    """What is kept of a net.

    Args:
        name: Of keras.applications.
        profile: The Keras generation.
        found: Its `proof`, as proof.json has it, `parameters`, `lines` and `seconds`.
    """
    proof = found["proof"]
    return {
        "net": name,
        "profile": profile,
        "verdict": PROVEN if proof["holds"] else proof["line"],
        "pixels": SIDES[name],
        **{key: found[key] for key in ("parameters", "lines")},
        "seconds": round(found["seconds"]),
        "worst": [_worst(proof, *each) for each in _FIGURES],
        "untold": sum(
            figure["allowed"] > TELLING for line in proof["lines"] for figure in line["figures"].values()
        ),
    }


def _row_without_figures(name: str, profile: str) -> str:
    return _cells([name, profile, NOT_RUN, str(SIDES[name]), *[""] * (len(COLUMNS) - 4)])


def _row(measured: Mapping) -> str:
    known = [measured[key] for key in ("net", "profile")] + [measured["verdict"].replace("|", "\\|")]
    keys = ("pixels", "parameters", "lines", "seconds")
    numbers = ["" if measured[key] is None else f"{measured[key]:,}" for key in keys]
    worst = ["" if each is None else f"{each:.1e}" for each in measured["worst"]]
    return _cells([*known, *numbers, *worst, str(measured["untold"])])


def _worst(proof: Mapping, rung: str, run: str) -> float | None:
    """The largest residual of a rung in the runs whose names begin so; None where none was compared."""
    return max(
        (
            # JSON has no infinity: proof.json has it in words.
            float(str(figure["residual"]).replace("infinite", "inf"))
            for line in proof["lines"]
            if line["rung"] == rung
            for name, figure in line["figures"].items()
            if name.startswith(run)
        ),
        default=None,
    )


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
