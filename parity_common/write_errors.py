"""Why a file could not be written, in the system's own words: libraries tell of a full disk in theirs."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

# A full disk, a used-up quota, a file larger than the process may write.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# And a disk that is only read.
NO_ROOM = (*NO_SPACE, errno.EROFS)
# HDF5 and Rust's library give the number in their text alone, SQLite its own words.
NUMBER_IN_TEXT = re.compile(r"(?:errno = |os error )(\d+)")
SQLITE_IS_FULL = "database or disk is full"


def why_not_written(error: BaseException) -> str:
    """The reason, such as "No space left on device"; else what the error says of itself.

    Args:
        error: What came of a writing; torch's and h5py's hide the reason in what they come of, or in a text.
    """
    number = _number(error)
    return str(error) if number is None else os.strerror(number)


def how_to_write(error: BaseException) -> str:
    """What to do about it, such as "free space"."""
    return "free space" if _number(error) in NO_SPACE else "make it writable"


def is_without_room(error: BaseException) -> bool:
    """Whether there was no room on the disk, or no right to write there."""
    return _number(error) in NO_ROOM


def _number(error: BaseException) -> int | None:
    """The system's number for what went wrong, of the error or of what it came of."""
    for each in _with_causes(error):
        if isinstance(each, OSError) and each.errno:
            return each.errno
        if match := NUMBER_IN_TEXT.search(str(each)):
            return int(match[1])
        if SQLITE_IS_FULL in str(each):
            return errno.ENOSPC
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__
