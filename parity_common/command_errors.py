"""Errors a user can mend, shown as one line, and the wrapper every entry point runs in."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Callable, Iterable

from parity_common.output_streams import open_outputs
from parity_common.write_errors import how_to_write, is_without_room, why_not_written

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

    A command whose standard output cannot be written does its work all the same, and exits with 1. Any other
    exception is a defect of ours and keeps its traceback.
    """
    output = open_outputs()
    try:
        code = _exit_code(main)
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
    except Exception as error:
        if not is_without_room(error):
            raise
        name = getattr(error, "filename", None)
        what = f" {os.fsdecode(name)}" if name else ""
        remedy = f"{how_to_write(error)} or choose another place, and run it again"
        code = _one_line(f"error: could not write{what} ({why_not_written(error)}): {remedy}", EXIT_BAD_INPUT)
    if output is not None and output.reason:
        line = f"error: standard output could not be written ({output.reason}); files are written as ever"
        code = _one_line(line, code or EXIT_FAILED)
    sys.exit(code)


def _exit_code(main: Callable[[], int | None]) -> int:
    try:
        return main() or 0
    except SystemExit as left:
        # --help and its like end so.
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        raise


def _one_line(text: str, code: int) -> int:
    sys.stdout.flush()
    print(" ".join(text.split()), file=sys.stderr, flush=True)
    return code
