"""Tables on standard output of which nothing is cut off."""

from __future__ import annotations

import sys

from rich.console import Console

# Wider than any table: a pipe or a file has no edge.
_WITHOUT_EDGE = 100_000


def whole_console() -> Console:
    """A console as wide as what is printed; on a terminal, whose lines wrap, too.

    Rich takes a pipe for a terminal of 80 columns and cuts cells there to what fits.
    """
    return Console(width=_WITHOUT_EDGE, soft_wrap=True, file=sys.stdout)
