"""What Keras recorded or answered in an earlier run of the tests, so that a second run need not start it.

Each thing is a folder whose name is a hash of all that it hangs on: the question and its arguments, the
source of everything that Keras's side runs, the versions of the packages, the processor and the variables
that choose its kernels. Nothing is looked up where PARITY_TESTS_ASK_ANEW is set, as .ci/run does.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[1]
KEPT = REPOSITORY / ".pytest_cache" / "keras"
ASK_ANEW = "PARITY_TESTS_ASK_ANEW"
DAYS_KEPT = 14
PACKAGES = ("tensorflow", "keras", "tf_keras", "keras-preprocessing", "numpy", "h5py", "pillow", "scipy")
# What chooses between kernels, and so decides the rounding noise.
VARIABLES = ("ONEDNN_", "DNNL_", "TF_", "OMP_", "MKL_", "OPENBLAS_", "KERAS_")


def keep(name: str, given: Mapping[str, object], make: Callable[[Path], object]) -> Path:
    """The folder that `make` fills, or that it filled in an earlier run.

    Args:
        name: Says what it is.
        given: All arguments that it hangs on, but for those that `material` counts.
        make: Fills an empty folder; the folder is moved afterwards.
    """
    found = find(name, given)
    if found is not None:
        return found
    folder = new_folder()
    make(folder)
    return publish(folder, name, given)


def find(name: str, given: Mapping[str, object]) -> Path | None:
    """The folder of an earlier run, or None."""
    folder = KEPT / _key(name, given)
    if ASK_ANEW in os.environ or not folder.is_dir():
        return None
    # So that what is in use is not swept away.
    os.utime(folder)
    return folder


def new_folder() -> Path:
    """An empty folder to be published, or to be left to the system where nothing is kept."""
    if ASK_ANEW in os.environ:
        return Path(tempfile.mkdtemp(prefix="keras_"))
    KEPT.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=".making-", dir=KEPT))


def publish(folder: Path, name: str, given: Mapping[str, object]) -> Path:
    """Keeps a folder that is filled; gives where it is now."""
    if ASK_ANEW in os.environ:
        return folder
    target = KEPT / _key(name, given)
    try:
        folder.rename(target)
    except OSError:
        # Another process has made the same meanwhile.
        shutil.rmtree(folder)
    return target


def sweep() -> None:
    """Removes what was not used for two weeks, and what was left half made."""
    oldest = time.time() - DAYS_KEPT * 86400
    for folder in KEPT.glob("*"):
        age_allowed = time.time() - 86400 if folder.name.startswith(".making-") else oldest
        if folder.stat().st_mtime < age_allowed:
            shutil.rmtree(folder, ignore_errors=True)


def _key(name: str, given: Mapping[str, object]) -> str:
    digest = hashlib.sha256(material().encode())
    for key in sorted(given):
        value = given[key]
        digest.update(f"\n{key}=".encode())
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        else:
            digest.update(repr(value).encode())
    return f"{name}-{digest.hexdigest()[:24]}"


@cache
def material() -> str:
    """What every answer hangs on, in one text."""
    lines = [f"{sys.version} {platform.machine()} {_processor()}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} none")
    lines += [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)]
    for file in sources():
        lines.append(f"{file.relative_to(REPOSITORY)} {hashlib.sha256(file.read_bytes()).hexdigest()}")
    return "\n".join(lines)


def sources() -> list[Path]:
    """Every file that Keras's side may run: all of the project's Python that is no test and no torch."""
    folders = ("keras_reference", "parity_common", "parity_tests")
    files = (file for folder in folders for file in (REPOSITORY / folder).rglob("*.py"))
    return sorted(file for file in files if not file.name.startswith("test_") and file != Path(__file__))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
