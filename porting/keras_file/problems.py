"""Errors of reading a Keras file, and the checks that turn a wrong type into one."""

from __future__ import annotations

from typing import Any

from parity_common.command_errors import UserError

_SHOWN_CHARACTERS = 80
_NAME_CHARACTERS = 1024


class KerasFileError(UserError):
    """The file cannot be read. The message says why; `read_keras_file` puts the file's path before it."""


def shown(thing: object, characters: int = _SHOWN_CHARACTERS) -> str:
    """Something from a file as it may be shown: one line of so many characters, no terminal codes."""
    text = thing if isinstance(thing, str) else repr(thing)
    cut = text[:characters] + ("…" if len(text) > characters else "")
    return "".join(character if character.isprintable() else "�" for character in cut)


def mapping(value: Any, where: str) -> dict[str, Any]:
    """`value`, which is a JSON object, or KerasFileError."""
    if not isinstance(value, dict):
        raise KerasFileError(f"{where} is {_kind(value)}, not an object: the file is damaged")
    return value


def sequence(value: Any, where: str) -> list[Any]:
    """`value`, which is a JSON list, or KerasFileError."""
    if not isinstance(value, list):
        raise KerasFileError(f"{where} is {_kind(value)}, not a list: the file is damaged")
    return value


def text(value: Any, where: str) -> str:
    """`value`, which is a string, or KerasFileError."""
    if not isinstance(value, str):
        raise KerasFileError(f"{where} is {_kind(value)}, not a string: the file is damaged")
    return value


def whole_number(value: Any, where: str) -> int:
    """`value`, which is a whole number of 0 or more, or KerasFileError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise KerasFileError(f"{where} is {shown(value)}, not a whole number: the file is damaged")
    return value


def layer_name(value: Any, where: str) -> str:
    """A layer's or model's name, which may hold slashes but cannot lead out of a folder made after it.

    Raises:
        KerasFileError: It is no string, empty, longer than 1,024 characters, holds control characters or
            backslashes, or is a path that is absolute or climbs.
    """
    name = text(value, where)
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or len(name) > _NAME_CHARACTERS or {"", ".", ".."} & set(parts):
        raise KerasFileError(f'{where} is "{shown(name)}", which no layer is called: the file is damaged')
    return name


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
