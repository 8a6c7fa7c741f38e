"""What the project says of its own installation: no package index has it, and every line names a checkout."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from conftest import REPOSITORY

from parity_common.extras import how_to_install

SUFFIXES = (".py", ".md", ".jinja", ".html", ".yml", ".yaml", ".toml")
# Of this very package, by its name.
FROM_AN_INDEX = re.compile(r"""pip install(?: -U)? ["']?keras-lightning-parity""")
THIS_FILE = Path(__file__).name


@pytest.mark.process
def test_no_line_installs_it_from_an_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    paths = [REPOSITORY / name for name in listed.stdout.splitlines() if name.endswith(SUFFIXES)]
    assert len(paths) > 100
    wrong = [
        f"{path.relative_to(REPOSITORY)}: {line.strip()}"
        for path in paths
        if path.exists() and path.name != THIS_FILE
        for line in path.read_text(encoding="utf-8").splitlines()
        if FROM_AN_INDEX.search(line)
    ]
    assert wrong == []


def test_a_line_that_does_is_found() -> None:
    assert FROM_AN_INDEX.search('      - run: pip install "keras-lightning-parity[keras]"')
    assert not FROM_AN_INDEX.search(how_to_install("keras"))


@pytest.mark.parametrize("extra", ["export", "keras", "study", "tensorboard"])
def test_extras_that_are_named_exist(extra: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    assert f'pip install -e ".[{extra}]"' in how_to_install(extra)


def test_what_the_augmentation_page_names_is_exported() -> None:
    import lightning_impl.augment as exported

    page = (REPOSITORY / "docs" / "augmentation.md").read_text(encoding="utf-8")
    named = set(re.findall(r"lightning_impl\.augment\.(\w+)", page)) - {"batched", "sampling"}
    assert "apply_to_image" in named
    assert named <= set(exported.__all__)
