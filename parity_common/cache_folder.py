"""Where drawn and decoded images lie between runs: one rule for both frameworks."""

from __future__ import annotations

import os
from pathlib import Path

from parity_common.home_path import home_path

STAND_IN_SEED = 2021
"""Of the stand-in set. A constant: every run and both frameworks see the same pictures."""


def cache_root(cache_dir: str | None) -> Path:
    """The project's cache folder, which need not exist yet.

    Args:
        cache_dir: `data.cache_dir`; None takes $XDG_CACHE_HOME, else `~/.cache`.
    """
    # The XDG Base Directory Specification has a relative $XDG_CACHE_HOME ignored.
    from_environment = os.environ.get("XDG_CACHE_HOME", "")
    if cache_dir is not None:
        parent = home_path(cache_dir)
    elif os.path.isabs(from_environment):
        parent = Path(from_environment)
    else:
        parent = Path.home() / ".cache"
    return parent / "keras-lightning-parity"


def stand_in_folder(cache_dir: Path, seed: int, images_per_class: int) -> Path:
    """The folder of one stand-in set, a folder of class folders.

    Args:
        cache_dir: What `cache_root` gives.
        seed: Of the set.
        images_per_class: Its size.
    """
    return cache_dir / f"stand_in-{seed}-{images_per_class}"
