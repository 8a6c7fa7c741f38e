"""Formats emitted source as ruff does with its own settings."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

# Wherever the command is run: what a folder of the same name would make one's own.
_THIRD_PARTY = ("lightning", "lightning_impl", "safetensors", "torch")


def formatted(source: str, own: Iterable[str] = ()) -> str:
    """The source in lines of 88 characters, its imports sorted and without those it has no use for.

    Args:
        source: Valid Python.
        own: Modules of the user's own that it imports.

    Raises:
        RuntimeError: It is no valid Python: a defect of ours.
    """
    sections = {"known-third-party": list(_THIRD_PARTY), "known-first-party": sorted({*own, "model"})}
    settings = [f"--config=lint.isort.{name}={names}" for name, names in sections.items()]
    sorted_source = _ruff(["check", "--fix", "--select=F,I", "--quiet", *settings, "-"], source)
    return _ruff(["format", "-"], sorted_source)


def _ruff(arguments: list[str], source: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--no-cache"]
    done = subprocess.run(
        command, input=source, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(
            f"ruff {arguments[0]}: {done.stdout[-2000:] if 'check' in arguments else ''}{done.stderr}"
        )
    return done.stdout
