"""The pages in a real browser: nothing said, nothing asked for, nothing wider than the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_impl.report.comparison import comparison_page
from lightning_impl.report.page import run_page
from lightning_impl.report.run_files import RunFiles
from parity_tests.headless_chromium import INSTALLED, Chromium, chromium
from parity_tests.test_report import HOSTILE, make_run

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not INSTALLED, reason="no chromium and chromedriver on this machine"),
]

# How far content reaches beyond the window, in CSS pixels.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
COLOURS = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    names = [*HOSTILE, *(f"class {number}" for number in range(24))]
    runs = [make_run(folder, name, names, seed) for seed, name in enumerate(("one", "two" * 40))]
    page, comparison = folder / "run.html", folder / "comparison.html"
    page.write_text(run_page(RunFiles(runs[1])), encoding="utf-8")
    comparison.write_text(comparison_page([RunFiles(run) for run in runs], folder), encoding="utf-8")
    return {"run": page, "comparison": comparison}


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["run", "comparison"])
def test_page_keeps_to_the_window_and_to_itself(
    browser: Chromium, pages: dict[str, Path], name: str, width: int
) -> None:
    seen = []
    for dark in (False, True):
        browser.show(pages[name], width, dark)
        assert browser.evaluate(OVERFLOW) <= 0
        seen.append(browser.evaluate(COLOURS))
    assert set(seen[0]).isdisjoint(seen[1])
    assert browser.console() == []
    assert browser.addresses() == [pages[name].resolve().as_uri()] * 2


def test_a_faulty_page_would_be_noticed(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "faulty.html"
    page.write_text(
        '<p style="width: 2000px">wide</p><img src="missing.png"><script>console.log("said")</script>'
    )
    browser.show(page, 390)
    assert browser.evaluate(OVERFLOW) > 0
    assert any("said" in line for line in browser.console())
    assert (tmp_path / "missing.png").as_uri() in browser.addresses()
