"""Paths as a user writes them: `~` is the home folder wherever no shell has replaced it."""

from __future__ import annotations

from pathlib import Path

from parity_common.command_errors import UserError


def home_path(text: str | Path) -> Path:
    """The path, a leading `~` or `~NAME` replaced by that user's home folder.

    Raises:
        UserError: There is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{text}: {Path(text).parts[0]} has no home folder here: write the path out"
        ) from error
