"""The modes of files that are written under another name first."""

from __future__ import annotations

import os
from pathlib import Path

# It can be read only by setting it: once, while no other thread writes.
_UMASK = os.umask(0o077)
os.umask(_UMASK)


def give_usual_mode(path: Path) -> None:
    """Gives a file or folder the mode of any new one; a temporary one is for its owner alone."""
    path.chmod((0o777 if path.is_dir() else 0o666) & ~_UMASK)
