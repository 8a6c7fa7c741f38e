"""How near each bound of the suite was met: `pytest parity_tests -p parity_tests.margins --margins FOLDER`.

Round-off depends on the processor, on the libraries' choice of kernels and on the number of threads. A bound
that one machine meets by a hair fails on the next. This plugin writes every comparison that came within a
factor of 100 of its bound; `python -m parity_tests.margins FOLDER …` reads several runs together and prints
those that any of them brought within a factor of 10.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

NEAREST = 0.01
PRINTED = 0.1
_NUMBER = r"(?:np\.float\d+\(|tensor\()?(\d[\d.]*(?:e[-+]?\d+)?)(?:, dtype=[\w.]+)?\)?"
# What pytest makes of `assert residual < bound`: "1.1e-10 < 1e-09", with an explanation behind it.
_COMPARISON = re.compile(rf"^{_NUMBER} (<|<=) {_NUMBER}$")


@dataclass(frozen=True)
class Margin:
    """A comparison that held.

    Attributes:
        place: The test, or the name of the array that was compared within it.
        value: What was found.
        bound: What it might have been.
    """

    place: str
    value: float
    bound: float

    @property
    def share(self) -> float:
        """Of the bound."""
        return self.value / self.bound


class Margins:
    """Writes margins, one JSON line each, into a file of this process.

    Args:
        folder: Where the file goes.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f"{worker}.jsonl").open("w", encoding="utf-8")
        self.test = ""

    def add(self, place: str, value: float, bound: float) -> None:
        if bound > 0 and NEAREST <= value / bound <= 1:
            self.file.write(json.dumps([place, value, bound]) + "\n")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.test = item.nodeid
        return (yield)

    def pytest_assertion_pass(self, item: pytest.Item, lineno: int, orig: str, expl: str) -> None:
        match = _COMPARISON.match(expl.partition("\n")[0])
        if match:
            # Whole numbers are counts; a bound on them is no tolerance.
            value, _, bound = match.groups()
            if not (value.isdigit() and bound.isdigit()):
                self.add(f"{item.nodeid}:{lineno}", float(value), float(bound))

    def pytest_unconfigure(self) -> None:
        self.file.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--margins", type=Path, help="a folder for how near each bound was met")
    parser.addini("enable_assertion_pass_hook", "pytest's own", type="bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--margins")
    if folder is None:
        return
    margins = Margins(folder, getattr(config, "workerinput", {}).get("workerid", "main"))
    config.pluginmanager.register(margins)
    _watch_comparisons(margins)


def _watch_comparisons(margins: Margins) -> None:
    """The ladder's and the proof's own comparisons, which tests see as one verdict."""
    from porting import comparison
    from porting.proof.residuals import Figure

    plain, holds = comparison.Comparison.holds.fget, Figure.holds.fget

    def compared(self: comparison.Comparison) -> bool:
        if self.residual is not None:
            margins.add(f"{margins.test} [{self.name}]", self.residual, self.tolerance)
        return plain(self)

    def figured(self: Figure) -> bool:
        margins.add(f"{margins.test} [figure]", self.residual, self.allowed)
        return holds(self)

    comparison.Comparison.holds = property(compared)  # type: ignore[assignment]
    Figure.holds = property(figured)  # type: ignore[assignment]


def read(folders: list[Path]) -> list[Margin]:
    """The nearest margin of each place over several runs, nearest first."""
    nearest: dict[str, Margin] = {}
    for file in (file for folder in folders for file in sorted(folder.glob("*.jsonl"))):
        for line in file.read_text(encoding="utf-8").splitlines():
            margin = Margin(*json.loads(line))
            if margin.place not in nearest or margin.share > nearest[margin.place].share:
                nearest[margin.place] = margin
    return sorted(nearest.values(), key=lambda margin: -margin.share)


if __name__ == "__main__":
    for margin in read([Path(folder) for folder in sys.argv[1:]]):
        if margin.share >= PRINTED:
            print(f"{margin.share:5.2f}  {margin.value:9.2e} of {margin.bound:9.2e}  {margin.place}")
