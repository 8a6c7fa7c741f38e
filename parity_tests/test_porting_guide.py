"""docs/porting_guide.md: every command and block of it is run, and what it says is shown is shown."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image

from parity_tests.guide_blocks import blocks_of, follow, missing

GUIDE = REPOSITORY / "docs" / "porting_guide.md"
PYPROJECT = REPOSITORY / "pyproject.toml"
CLASSES = ("boat", "chair", "house")
IMAGES_PER_CLASS = 15


def draw_photos(folder: Path) -> None:
    """Three classes of small pictures, waves of a class's own frequencies under noise."""
    random = np.random.RandomState(3)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(IMAGES_PER_CLASS):
            y, x = np.mgrid[0:60, 0:84]
            waves = [
                np.sin(x / (4 + 3 * label) + number) + np.cos(y / (3 + 2 * ((label + channel) % 3)))
                for channel in range(3)
            ]
            pixels = 128 + 50 * np.stack(waves, -1) + 40 * random.random_sample((60, 84, 3))
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name / f"{number:02}.jpg")


def reader(folder: Path) -> dict[str, str]:
    """The environment of somebody who has one Python for both sides, and a cache of their own."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "KERAS_PYTHON": "python",
        "PARITY": str(REPOSITORY),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


def test_everything_in_the_guide_happens(keras_installed: None, tmp_path: Path) -> None:
    project = tmp_path / "project"
    draw_photos(project / "photos")
    problems = follow(GUIDE.read_text(encoding="utf-8"), project, reader(tmp_path), PYPROJECT)
    assert not problems, "\n\n".join(problems)


def test_guide_has_all_steps_and_its_links_lead_somewhere() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    headings = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    assert [heading for heading in headings if re.match(r"\d+\. ", heading)] == [
        f"{number}. {name}"
        for number, name in enumerate(
            (
                "Inventory",
                "Freeze the oracle",
                "Model and weights",
                "Loss and metrics",
                "Optimizer and schedule",
                "Callbacks",
                "Data and augmentation",
                "Lockstep",
                "Accuracy over seeds",
                "Switch over",
            ),
            start=1,
        )
    ]
    defined = dict(re.findall(r"^\[(D\d\d)\]: (\S+)$", text, re.MULTILINE))
    for target in [*re.findall(r"\]\(([^)]+)\)", _prose(text)), *defined.values()]:
        path, _, anchor = target.partition("#")
        page = GUIDE if not path else (GUIDE.parent / path)
        assert page.exists(), target
        if anchor:
            there = {
                _anchor(line) for line in re.findall(r"^##+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
            }
            assert anchor in there, target
    assert set(re.findall(r"\bD\d\d\b", _prose(text))) == defined.keys()
    for number, target in defined.items():
        assert f"#{number.lower()}-" in target


def _prose(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


RIGHT = """\
<!-- file: hello.py -->

```python
print("loss 0.25 of 3 steps")
```

<!-- run -->

```sh
python hello.py
```

<!-- shows: figures vary -->

```text
loss 0.31 of 3 steps
```

<!-- install -->

```sh
pip install -e "${PARITY}[keras]"
```

<!-- file: ci.yml -->

```yaml
jobs: {check: {steps: [{run: python hello.py}]}}
```
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (("", ""), None),
        (("0.31 of", "31.0 of"), "not shown"),
        (("of 3 steps\n```\n\n<!-- inst", "of 4 steps\n```\n\n<!-- inst"), "not shown"),
        (("shows: figures vary", "shows"), "not shown"),
        (("shows: figures vary", "shows: hello.py"), "not shown"),
        (("```sh\npython hello.py", "```sh\npython hallo.py"), "exit 2 instead of 0"),
        (("<!-- run -->", "<!-- run: exit 1 -->"), "exit 0 instead of 1"),
        (("<!-- run -->\n", ""), "without a mark"),
        (("<!-- run -->", "<!-- walk -->"), "without a mark"),
        (("[keras]", "[kerass]"), "no extra kerass"),
        (('-e "${PARITY}', '"keras-lightning-parity'), "no index has keras-lightning-parity"),
        (("run: python hello.py", "run: python goodbye.py"), "the page does not: python goodbye.py"),
    ],
)
def test_what_does_not_hold_is_reported(cut: tuple[str, str], why: str | None, tmp_path: Path) -> None:
    assert cut[0] in RIGHT
    (tmp_path / "project").mkdir()
    problems = follow(RIGHT.replace(*cut, 1), tmp_path / "project", reader(tmp_path), PYPROJECT)
    if why is None:
        assert not problems
    else:
        assert any(why in problem for problem in problems), problems


def test_lines_are_found_in_their_order() -> None:
    output = "one 1.5\n  two   2\nthree"
    assert missing("one 1.5\n…\nthree", output) == []
    assert missing("o… 1.5\ntwo 2", output) == []
    assert missing("three\ntwo 2", output) == ["two 2"]
    assert missing("one 1.6", output) == ["one 1.6"]
    assert missing("one 1.6", output, vary=True) == []
    assert missing("one 99.5", output, vary=True) == ["one 99.5"]


def test_blocks_in_cells_of_a_table_are_seen() -> None:
    cell = "<td>\n\n<!-- file: a.py -->\n\n```python\nx = 1\n```\n\n</td>\n"
    assert [(block.kind, block.more, block.text) for block in blocks_of(cell)] == [
        ("file", "a.py", "x = 1\n")
    ]
