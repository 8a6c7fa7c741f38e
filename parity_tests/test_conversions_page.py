"""docs/conversions.md tells the committed figures, and calls no net proven that was not."""

from __future__ import annotations

import json

import pytest

from parity_tests.conversions_page import COLUMNS, FIGURES, MOST_LINES, NOT_RUN, PAGE, PAIRS, PROVEN, page
from parity_tests.keras_questions.applications import SIDES


@pytest.fixture
def figures() -> list[dict]:
    return json.loads(FIGURES.read_text(encoding="utf-8"))


def test_page_tells_the_committed_figures(figures: list[dict]) -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(figures)
    rows = [line for line in written.splitlines() if line.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {len(COLUMNS) + 1}


def test_figures_are_in_order_and_hold_to_what_is_promised(figures: list[dict]) -> None:
    pairs = [(each["net"], each["profile"]) for each in figures]
    assert pairs == [pair for pair in PAIRS if pair in pairs]
    assert all(each["pixels"] == SIDES[each["net"]] for each in figures)
    assert all(each["lines"] <= MOST_LINES.get(each["net"], 10_000) for each in figures)


def test_net_without_figures_is_not_called_proven(figures: list[dict]) -> None:
    (row,) = (line for line in page(figures[1:]).splitlines() if line not in page(figures).splitlines())
    assert row.split(" | ")[2] == NOT_RUN


def test_proven_nets_have_every_figure(figures: list[dict]) -> None:
    for each in figures:
        if each["verdict"] == PROVEN:
            # Its gradients were no zeros.
            assert None not in each["worst"]
            assert each["worst"][-2] > 0, each


def test_a_changed_figure_is_another_page(figures: list[dict]) -> None:
    figures[0]["lines"] += 1
    assert page(figures) != PAGE.read_text(encoding="utf-8")
