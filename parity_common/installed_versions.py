"""What a run ran on: Python, the system and its packages."""

from __future__ import annotations

import platform
from importlib import metadata


def installed_versions(*packages: str) -> dict[str, str]:
    """Versions by name, `python` and `system` first; packages that are not installed are left out."""
    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in ("keras-lightning-parity", *packages, "numpy", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
