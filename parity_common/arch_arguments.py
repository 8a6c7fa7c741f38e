"""`model.arch_arguments`: an architecture's own arguments, checked by name before it is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from parity_common.command_errors import UserError, did_you_mean

# What the command line gives to every architecture; see ARCHITECTURES and BUILDERS.
GIVEN = ("keras", "classes", "image_size", "profile", "weights")


def check_arch_arguments(arch: str, build: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuses a name that `build` does not take beside what every architecture is given.

    Args:
        arch: `model.arch`.
        build: The class or function that makes the net.
        arguments: `model.arch_arguments`.

    Raises:
        UserError: Such a name.
    """
    own = [name for name in inspect.signature(build).parameters if name not in GIVEN]
    for name in arguments:
        if name not in own:
            takes = f"it takes {', '.join(own)}" if own else "it takes none"
            raise UserError(f"model.arch_arguments: {arch} has no {name}{did_you_mean(name, own)}; {takes}")
