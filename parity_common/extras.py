"""How somebody installs what an extra of this project asks for."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """The command, for an extra of pyproject.toml; no package index has the project."""
    return f'pip install -e ".[{extra}]" in your checkout of keras-lightning-parity'
