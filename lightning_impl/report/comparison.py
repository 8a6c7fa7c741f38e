"""A page that holds several runs, of either framework, against each other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lightning_impl.report.inline_svg import SERIES
from lightning_impl.report.page import TEMPLATES, charts
from lightning_impl.report.run_files import RunFiles

ABSENT = "–"
# Where a run lies, not what it does.
PLACE_KEYS = {"name", "runs", "resume"}


def comparison_page(runs: Sequence[RunFiles], folder: Path) -> str:
    """A table and the curves of all runs, and the settings in which they differ, as HTML.

    Args:
        runs: Two or more.
        folder: Where the page will lie: links to the runs' own pages are from there.

    Raises:
        UserError: A damaged file in a run's folder.
    """
    colours = [f"var(--series-{number % SERIES})" for number in range(len(runs))]
    return TEMPLATES.get_template("comparison.html").render(
        runs=[(run, colour, _link(run, folder)) for run, colour in zip(runs, colours, strict=True)],
        charts=charts([(run.label, run.rows) for run in runs]),
        differences=config_differences([run.config for run in runs]),
    )


def config_differences(configs: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """The keys of which configs have different values, each with all the values; a dash where one lacks it.

    A key that only one framework's configs have is no difference between runs.
    """
    flat = [_flatten(config) for config in configs]
    keys = sorted({key for settings in flat for key in settings} - PLACE_KEYS)
    rows = [(key, [settings.get(key) for settings in flat]) for key in keys]
    return [
        (key, [ABSENT if value is None else value for value in values])
        for key, values in rows
        if len({value for value in values if value is not None}) > 1
    ]


def _flatten(config: dict[str, Any], above: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= _flatten(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = "null" if value is None else str(value)
    return flat


def _link(run: RunFiles, folder: Path) -> str:
    return quote(os.path.relpath(run.run.path.resolve() / "report.html", folder.resolve()))
