"""The suite's own rules: what waits for full, what a unit test may do, what is kept between runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from parity_tests import kept
from parity_tests.full_tests import FULL

IDS = (Path(__file__).parent / "test_ids.txt").read_text(encoding="utf-8").splitlines()


# Numbered: a pattern in the test's own id would send it to full.
@pytest.mark.parametrize("pattern", FULL, ids=[str(number) for number in range(len(FULL))])
def test_every_pattern_names_a_test(pattern: str) -> None:
    assert any(re.search(pattern, test) for test in IDS)


def test_unit_test_cannot_start_a_process() -> None:
    with pytest.raises(RuntimeError, match=r"mark it pytest\.mark.process"):
        subprocess.run([sys.executable, "-c", ""], check=True)


def test_unit_test_cannot_ask_keras() -> None:
    with pytest.raises(RuntimeError, match=r"mark it pytest\.mark.keras"):
        sys.audit("parity_tests.ask_keras", "anything")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were filled anew; answers are kept in a folder of the test's own."""
    monkeypatch.setattr(kept, "KEPT", tmp_path / "kept")
    monkeypatch.delenv(kept.ASK_ANEW, raising=False)
    return []


def test_answer_is_kept_for_the_same_question_alone(made: list[Path]) -> None:
    for given in ({"x": 1}, {"x": 1}, {"x": 2}, {"x": np.ones(2)}, {"x": np.ones(2, np.float32)}):
        folder = kept.keep("question", given, made.append)
        assert folder.is_dir()
    assert len(made) == 4


def test_variable_asks_anew(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    kept.keep("question", {}, made.append)
    monkeypatch.setenv(kept.ASK_ANEW, "1")
    for _ in range(2):
        kept.keep("question", {}, made.append)
    assert len(made) == 3


def test_other_source_is_another_question(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("one", "one", "other"):
        monkeypatch.setattr(kept, "material", lambda text=source: text)
        kept.keep("question", {}, made.append)
    assert len(made) == 2
