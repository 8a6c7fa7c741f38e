"""Keras files of keras_questions/convert.py, and what they are converted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from parity_tests.keras_oracle import ask_keras_for_files
from porting.convert.command import profile_of
from porting.convert.compiled import compiled_of
from porting.convert.conversion import convert_file
from porting.convert.folder import new_folder, write_conversion
from porting.custom import parse_custom
from porting.keras_file import read_keras_file

SUFFIXES = {"tf2.4": "h5", "keras3": "keras"}

Made = Callable[..., Path]


@pytest.fixture(scope="session")
def keras_files() -> Made:
    """A function of case, profile and dtype (float32) that gives a folder with `model.*` and `after.*`."""
    made: dict[tuple[str, str, str], Path] = {}

    def make(case: str, profile: str, dtype: str = "float32") -> Path:
        if (case, profile, dtype) not in made:
            asked = {"case": case, "suffix": SUFFIXES[profile], "dtype": dtype}
            made[case, profile, dtype], _ = ask_keras_for_files("convert.write", profile, **asked)
        return made[case, profile, dtype]

    return make


@pytest.fixture(scope="session")
def converted(keras_files: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A function of case, profile, dtype and plain that gives a converted model's folder, without a proof."""
    made: dict[tuple[str, str, str, bool], Path] = {}

    def make(case: str, profile: str, dtype: str = "float32", plain: bool = False) -> Path:
        key = (case, profile, dtype, plain)
        if key not in made:
            made[key] = tmp_path_factory.mktemp("converted") / "ported"
            convert(keras_files(case, profile, dtype) / f"model.{SUFFIXES[profile]}", made[key], plain)
        return made[key]

    return make


def convert(
    path: Path, out: Path, plain: bool = False, name: str = "model", custom: Sequence[str] = ()
) -> None:
    file = read_keras_file(path)
    profile = profile_of(file)
    conversion = convert_file(file, profile, name, parse_custom(custom))
    with new_folder(out, overwrite=False) as folder:
        write_conversion(folder, conversion, compiled_of(conversion, profile), profile, plain)
