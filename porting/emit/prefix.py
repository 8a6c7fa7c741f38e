"""What names have in common."""

from __future__ import annotations

from collections.abc import Sequence


def common_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to a separator."""
    least, greatest = min(names), max(names)
    differ = (place for place, pair in enumerate(zip(least, greatest, strict=False)) if len(set(pair)) > 1)
    prefix = least[: next(differ, len(least))]
    end = max((prefix.rfind(separator) for separator in "_/.-"), default=-1)
    return prefix[: end + 1]
