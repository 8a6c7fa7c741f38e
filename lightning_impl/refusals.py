"""Lightning's and jsonargparse's refusals of settings as one line; a defect of code keeps its traceback.

Which of the two an exception is shows in the code that it passed through: settings go straight from a call
of ours into Lightning, and nothing but Lightning, torch and Python's own modules is on the way to a refusal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

from lightning.fabric.utilities.exceptions import MisconfigurationException

from parity_common.command_errors import Stopped, UserError
from parity_common.config_errors import missing_package, short

LIGHTNING = ("lightning", "lightning_fabric", "lightning_utilities", "pytorch_lightning")
LIBRARIES = (*LIGHTNING, "jsonargparse", "torch", "torchmetrics", "numpy", "yaml", "fsspec", "rich")


@contextmanager
def refusals_in_one_line(about: str) -> Iterator[None]:
    """Around one call into Lightning.

    Args:
        about: What is refused, for the line: `trainer settings`.

    Raises:
        UserError: In place of a refusal.
    """
    try:
        yield
    except (UserError, Stopped):
        raise
    except Exception as error:
        root = _root(error)
        if isinstance(root, UserError):
            raise root from error
        if line := missing_package(f"{error} {root}"):
            raise UserError(line) from error
        # The first of our frames are this one and the caller's.
        passed = _modules(error)[2:] + (_modules(root) if root is not error else [])
        is_refusal = bool(passed) and all(map(_is_library, passed)) and _top(passed[0]) in LIBRARIES
        if not is_refusal and not isinstance(root, MisconfigurationException):
            raise
        kind = "" if type(root) in (MisconfigurationException, ValueError) else f"{type(root).__name__}: "
        raise UserError(short(f"{about}: {kind}{root} (refused in {_place(root)})")) from error


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _modules(error: BaseException) -> list[str]:
    """The modules whose code an exception has passed through, outermost first."""
    return [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _is_library(module: str) -> bool:
    return _top(module) in LIBRARIES or _top(module) in sys.stdlib_module_names


def _place(error: BaseException) -> str:
    """The innermost of Lightning's modules on the way."""
    passed = [name for name in _modules(error) if _top(name) in LIBRARIES]
    named = [name for name in passed if _top(name) in LIGHTNING]
    return (named or passed or ["Lightning"])[-1]
