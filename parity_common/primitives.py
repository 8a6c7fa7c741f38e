"""Settings from Python as the plain values that a config or a checkpoint can hold."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping
from enum import Enum
from typing import Any

from parity_common.command_errors import UserError

PLAIN = (bool, int, float, str, type(None))


def primitive(value: Any, key: str) -> Any:
    """The value as None, bool, int, float, str, and lists, tuples and dicts of them.

    A checkpoint that holds anything else, numpy's scalars among them, loads only where code may run.

    Args:
        value: Of a setting. Numpy's and torch's scalars and arrays, paths and enums mean what they hold.
        key: The setting's, for the message.

    Raises:
        UserError: A value whose meaning as one of these is not plain.
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, Enum):
        return primitive(value.value, key)
    if isinstance(value, Mapping):
        return {primitive(name, key): primitive(inner, f"{key}.{name}") for name, inner in value.items()}
    if isinstance(value, list | range):
        return [primitive(inner, f"{key}[{place}]") for place, inner in enumerate(value)]
    if isinstance(value, tuple):
        return tuple(primitive(inner, f"{key}[{place}]") for place, inner in enumerate(value))
    if hasattr(value, "tolist"):
        return primitive(value.tolist(), key)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise UserError(
        f"{key} is of type {type(value).__name__}, which no checkpoint can hold: give numbers, texts, lists "
        "or dicts of them"
    )


def primitives(group: str, **settings: Any) -> tuple[Any, ...]:
    """`primitive` of several settings of a group, in their order."""
    return tuple(primitive(value, f"{group}.{name}") for name, value in settings.items())
