"""Errors a user can mend, shown as one line, and the wrapper every entry point runs in."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Callable, Iterable

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM


class UserError(Exception):
    """Bad input. The message is one line that names the thing and the remedy."""


class Stopped(Exception):
    """Work ended early: on request (Ctrl-C or SIGTERM), or since going on is of no use.

    Args:
        message: One line for the user: how it goes on.
        exit_code: What the process exits with: 128 + the signal's number, or EXIT_FAILED.
    """

    def __init__(self, message: str, exit_code: int = EXIT_INTERRUPTED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint such as `` (did you mean "v3"?)``, or an empty string when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""


def run_command(main: Callable[[], int | None]) -> None:
    """Runs an entry point and exits the process: 0, 2 for bad input, 130 or 143 when stopped.

    Any other exception is a defect of ours and keeps its traceback.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
    except UserError as error:
        code = _one_line(f"error: {error}", EXIT_BAD_INPUT)
    except PermissionError as error:
        where = f"{error.filename}: " if error.filename else ""
        line = f"error: {where}{error.strerror}: mend its permissions, or give another path"
        code = _one_line(line, EXIT_BAD_INPUT)
    except Stopped as stopped:
        code = _one_line(f"stopped: {stopped}", stopped.exit_code)
    except KeyboardInterrupt:
        code = _one_line("stopped", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`... | head`); a second flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    sys.exit(code)


def _one_line(text: str, code: int) -> int:
    sys.stdout.flush()
    print(" ".join(text.split()), file=sys.stderr, flush=True)
    return code
