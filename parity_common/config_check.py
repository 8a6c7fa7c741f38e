"""A config file judged alone, before it is merged with others: a refusal then names the file."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from parity_common.command_errors import UserError, did_you_mean
from parity_common.config_errors import (
    explain,
    missing_package,
    refuse_unknown_keys,
    shown_value,
    unknown_key,
)
from parity_common.config_files import given_values, read_config

# A config's topmost keys, of either side.
GROUPS = ("model", "data", "trainer")
TOP_KEYS = ("seed_everything", "callbacks", "runs", "name")
EXAMPLES = {
    "model": "arch: v3",
    "data": "batch_size: 32",
    "data.augment": "rotation_range: 15",
    "trainer": "max_epochs: 4",
}


def check_topmost(content: dict, path: Path, more_keys: Iterable[str] = ()) -> None:
    """Judges a config by its topmost keys alone, for a command that knows the others only much later.

    Args:
        content: What a config file holds.
        path: The file, for the message.
        more_keys: What the command takes beside GROUPS and TOP_KEYS.

    Raises:
        UserError: Names the file and the key.
    """
    known = [*GROUPS, *TOP_KEYS, *more_keys]
    for name, value in content.items():
        key = str(name)
        # A single value may be a group's key that stands one level too high: its hint comes later.
        if key not in known and (value is None or isinstance(value, dict) or did_you_mean(key, known)):
            raise UserError(f"{path}: {unknown_key(key, known)}")
    if "seed_everything" in content:
        check_seed(f"{path}: seed_everything", content["seed_everything"])
    data = content.get("data")
    groups: list[tuple[str, object]] = [(name, content[name]) for name in GROUPS if name in content]
    if isinstance(data, dict) and "augment" in data:
        groups.append(("data.augment", data["augment"]))
    for name, value in groups:
        if not isinstance(value, dict):
            raise UserError(
                f"{path}: {name} is {shown_value(value)}: it holds keys, such as {EXAMPLES[name]}"
            )


def check_config_file(path: Path, parser: Any, known_keys: Iterable[str]) -> Any:
    """Judges one config alone: in a refusal of several merged ones nothing would name the file.

    Args:
        path: The file.
        parser: jsonargparse's, whose keys these are.
        known_keys: Dotted; no groups.

    Returns:
        The parser's namespace of it.

    Raises:
        UserError: Names the file and the key.
    """
    known = list(known_keys)
    content = read_config(path)
    try:
        refuse_unknown_keys(content, known, path)
        _refuse_null(content, parser)
        return parser.parse_object(content)
    except UserError as error:
        line = str(error).removeprefix(f"{path}: ")
        raise UserError(f"{path}: {line}{of_another_version(path)}") from error
    except (ArgumentError, TypeError, ValueError) as error:
        line = explain(error, known)
        raise UserError(
            f"{path}: {line}{'' if missing_package(str(error)) else of_another_version(path)}"
        ) from error


def _refuse_null(content: dict, parser: Any, above: str = "") -> None:
    """Refuses null where the setting has no such value: jsonargparse lets it pass in a file."""
    hints = {action.dest: getattr(action, "_typehint", None) for action in parser._actions}
    for name, value in content.items():
        key = f"{above}{name}"
        hint = hints.get(key)
        if hint is None and isinstance(value, dict):
            _refuse_null(value, parser, f"{key}.")
        elif value is None and hint not in (None, Any) and type(None) not in get_args(hint):
            raise UserError(f"{key} is null: give a value or leave the key out")


def of_another_version(config: Path) -> str:
    """The remedy for a config that does not fit, where a run has written it; else nothing."""
    if not (config.parent / "checkpoints").is_dir():
        return ""
    return "; if another version of the project wrote this run's config, mend it or use that version"


def check_group_options(arguments: Sequence[str], groups: Iterable[str]) -> None:
    """Refuses `--model 5`: a whole group given as something that holds no keys.

    Args:
        arguments: The command line.
        groups: Dotted names of what holds keys.

    Raises:
        UserError: Names the option.
    """
    for group in groups:
        for text in given_values(arguments, f"--{group}"):
            try:
                value = yaml.safe_load(text)
            except yaml.YAMLError:
                value = text
            if not isinstance(value, dict):
                raise UserError(
                    f"--{group} is {shown_value(value)}: it holds keys, give --{group}.KEY VALUE, such as "
                    f"--{group}.{EXAMPLES[group].replace(':', '')}"
                )


def check_seed(key: str, value: object) -> None:
    """Refuses what numpy and TensorFlow take for no seed.

    Raises:
        UserError: Not a whole number of 32 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise UserError(f"{key} is {shown_value(value)}: give a whole number from 0 to {2**32 - 1}")
