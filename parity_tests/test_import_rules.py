"""Which package may import which: proven in subprocesses that import every module there is.

A child process sees what importing a package loads; the source shows what a function would load later.
Each check has a twin that shows it can fail.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

KERAS = ("keras", "tensorflow", "tf_keras")
TORCH = ("torch", "lightning")
FORBIDDEN = {
    "lightning_impl": (*KERAS, "keras_reference", "porting"),
    "keras_reference": (*TORCH, "lightning_impl", "porting"),
    "porting": KERAS,
    "parity_common": (*KERAS, *TORCH, "lightning_impl", "keras_reference", "porting"),
}

# Imports a package and every module below it; the last line is what was imported of the names asked for.
WALK = """
import importlib, json, pkgutil, sys
package = importlib.import_module(sys.argv[1])
walked = [package.__name__]
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
    walked.append(module.name)
print(json.dumps([walked, [name for name in sys.argv[2:] if name in sys.modules]]))
"""


def _imported(package: str, names: tuple[str, ...], folder: Path) -> tuple[list[str], list[str]]:
    """The modules of a package, and which of `names` importing them all loads."""
    done = subprocess.run(
        [sys.executable, "-c", WALK, package, *names], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    walked, found = json.loads(done.stdout.splitlines()[-1])
    return walked, found


def _named_in_source(folder: Path, names: tuple[str, ...]) -> list[str]:
    """The import statements of `names`, or of what lies in them, in the sources under `folder`."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            found += [f"{path.name}: {module}" for module in modules if module.split(".")[0] in names]
    return found


@pytest.fixture
def offender(tmp_path: Path) -> Path:
    """A folder with a package whose deepest module imports every name there is a rule on: stubs, here."""
    for name in {name for names in FORBIDDEN.values() for name in names}:
        (tmp_path / f"{name}.py").touch()
    deep = tmp_path / "offender" / "deep"
    deep.mkdir(parents=True)
    (deep.parent / "__init__.py").touch()
    (deep / "__init__.py").touch()
    return deep / "module.py"


@pytest.mark.process
@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_imports_nothing_forbidden(package: str) -> None:
    walked, found = _imported(package, FORBIDDEN[package], REPOSITORY)
    assert found == []
    sources = {path for path in (REPOSITORY / package).rglob("*.py") if path.name != "__init__.py"}
    assert len([name for name in walked if _is_module(name)]) == len(sources)


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_names_nothing_forbidden(package: str) -> None:
    assert _named_in_source(REPOSITORY / package, FORBIDDEN[package]) == []


@pytest.mark.process
@pytest.mark.parametrize("package", FORBIDDEN)
def test_forbidden_import_would_be_noticed(package: str, offender: Path) -> None:
    for name in FORBIDDEN[package]:
        offender.write_text(f"import {name}\n", encoding="utf-8")
        walked, found = _imported("offender", FORBIDDEN[package], offender.parents[2])
        assert walked == ["offender", "offender.deep", "offender.deep.module"]
        assert found == [name]


@pytest.mark.parametrize(
    "statement",
    ["import tensorflow as tf", "from keras.layers import Dense", "def f():\n    import tf_keras.layers"],
)
def test_forbidden_statement_would_be_noticed(statement: str, offender: Path) -> None:
    offender.write_text(statement, encoding="utf-8")
    assert len(_named_in_source(offender.parents[1], KERAS)) == 1


def _is_module(name: str) -> bool:
    found = importlib.util.find_spec(name)
    return found is not None and found.submodule_search_locations is None
