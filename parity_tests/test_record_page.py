"""docs/record.md tells the committed figures, and what it says of the curves is so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parity_common.run_folder import write_text_atomically
from parity_tests import photographs
from parity_tests.bands import FIGURES, KERAS, LIGHTNING, REPOSITORY, kept_trainings
from parity_tests.photographs_page import section
from parity_tests.record_page import page

PAGE = REPOSITORY / "docs" / "record.md"


def test_page_tells_the_committed_figures(request: pytest.FixtureRequest) -> None:
    photographed = json.loads(photographs.FIGURES.read_text(encoding="utf-8"))
    written = page(
        json.loads(FIGURES.read_text(encoding="utf-8")),
        kept_trainings(),
        section(photographed, photographs.kept_trainings()),
    )
    if request.config.getoption("--write-pages"):
        write_text_atomically(PAGE, written)
    assert PAGE.read_text(encoding="utf-8") == written


def test_curves_are_as_the_page_describes_them() -> None:
    kept = kept_trainings()
    for side in (KERAS, LIGHTNING):
        mean = {
            (net, name): np.mean([each.figures[name] for each in kept[net][side.name]], axis=0)
            for net in ("v1", "v2", "v3")
            for name in ("loss", "val_loss", "accuracy")
        }
        # By heart: a training loss of almost nothing under a validation loss far over that of guessing.
        assert mean["v1", "loss"][-1] < 0.1 * np.log(6)
        assert mean["v1", "val_loss"][-1] > 1.5 * np.log(6)
        assert mean["v2", "val_loss"][-1] < np.log(6)
        assert mean["v3", "val_loss"][-1] < np.log(6)
        # Nothing learned: the loss of guessing.
        assert abs(mean["v2", "loss"][0] - np.log(6)) < 0.02
        assert mean["v3", "accuracy"][2] > mean["v2", "accuracy"][2] + 0.03
