"""Standard output and standard error that may be closed or full: what a command does must not end by it."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


class PatientOutput(io.FileIO):
    """A stream that takes what it cannot write, and keeps why. A reader that went away is told as ever."""

    reason = ""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self.reason = self.reason or os.strerror(error.errno or 0)
            return len(memoryview(data).cast("B"))


def open_outputs() -> PatientOutput | None:
    """Puts streams that no failure to write can end in place of the process's own.

    Python has None for a stream that was closed at its start (`>&-`), and the next file to be opened would
    take the stream's number, and what is printed with it.

    Returns:
        Standard output; None where it is not the process's own, as under a test that captures it.
    """
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        if stream is None:
            null = os.open(os.devnull, os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
    closed = sys.stdout is None
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if not closed and sys.stdout is not sys.__stdout__:
        return None
    raw = PatientOutput(1, "w", closefd=False)
    if closed:
        raw.reason = "it is closed"
    before = sys.stdout
    # As under python -u.
    at_once = bool(before and before.write_through)  # type: ignore[union-attr]
    sys.stdout = io.TextIOWrapper(
        raw if at_once else io.BufferedWriter(raw),  # type: ignore[type-var]
        encoding=before.encoding if before else "utf-8",
        errors=before.errors if before else "backslashreplace",
        line_buffering=raw.isatty(),
        write_through=at_once,
    )
    return raw
