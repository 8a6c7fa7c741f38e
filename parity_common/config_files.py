"""Config files: which file a name means, and what makes a file unusable before anything reads it."""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Sequence
from pathlib import Path

import yaml

from parity_common.command_errors import UserError, did_you_mean
from parity_common.home_path import home_path

CONFIG_SUFFIXES = (".yaml", ".yml", ".json")
# In a folder of configs, the study made of them: no config of a fit itself.
STUDY_FILE = "study.yaml"
# A config of a fit has some hundred values on four levels; what is far beyond would keep every reader busy.
MOST_BYTES = 256 * 1024
MOST_VALUES = 20_000
MOST_LEVELS = 20
TOO_DEEP = f"nested deeper than {MOST_LEVELS} levels: give a config of a fit"


def package_configs() -> Path:
    """The folder of the configs that come with the project: in the wheel, or the source tree's `configs/`."""
    package = Path(str(importlib.resources.files("parity_common")))
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Every bare name that `--config` takes here, e.g. `v3` or `mini_class/pixels`."""
    names = set()
    for folder in (Path("configs"), package_configs()):
        if folder.is_dir():
            paths = [path for path in folder.rglob("*.yaml") if path.name != STUDY_FILE]
            names |= {str(path.relative_to(folder).with_suffix("")) for path in paths}
    return sorted(names)


def find_config(name: str) -> Path:
    """The file that `--config NAME` means.

    A name with a config suffix is a path. A bare name is looked up in `./configs`, then among the
    project's own.

    Raises:
        UserError: No such file or name; the message lists the names there are.
    """
    if name.endswith(CONFIG_SUFFIXES):
        path = home_path(name)
        if not path.is_file():
            raise UserError(f"no config file {name}: give a path that exists, or one of {_listed()}")
        return path
    for folder in (Path("configs"), package_configs()):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise UserError(f'no config "{name}"{did_you_mean(name, config_names())}: one of {_listed()}')


def read_config(path: Path) -> dict:
    """Reads a YAML config and refuses what a YAML reader lets pass in silence.

    Raises:
        UserError: Not readable, not YAML, not a mapping, too large or too deep, a key given twice, a number
            that is not finite.
    """
    try:
        with path.open("rb") as file:
            read = file.read(MOST_BYTES + 1)
        if len(read) > MOST_BYTES:
            raise UserError(f"{path}: larger than {MOST_BYTES // 1024} KiB: give a config of a fit")
        text = read.decode("utf-8")
        _refuse_deep_brackets(text, path)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_endless(node, path)
        content = yaml.load(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML ({getattr(error, 'problem', None) or error})") from error
    except RecursionError as error:
        raise UserError(f"{path}: {TOO_DEEP}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a usable config ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no keys; a config starts with lines such as `model:`")
    _refuse_duplicates(node, path, ())
    _refuse_non_finite(content, path, ())
    return content


def given_values(arguments: Sequence[str], *options: str) -> list[str]:
    """What a command line gives an option, each time that it stands there.

    Args:
        arguments: The command line without the program's name.
        options: The option's names, such as `--config` and `-c`.
    """
    values = []
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in options:
            if equals:
                values.append(value)
            elif place + 1 < len(arguments):
                values.append(arguments[place + 1])
    return values


def _refuse_deep_brackets(text: str, path: Path) -> None:
    """Spares a YAML reader what takes it seconds before it runs out of stack."""
    depth = 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        # Some may stand in a text or a comment.
        if depth > 10 * MOST_LEVELS:
            raise UserError(f"{path}: {TOO_DEEP}")


def _refuse_endless(node: yaml.Node | None, path: Path) -> None:
    """Refuses an alias that holds itself, and what is too deep or too large once aliases are written out."""
    # Of each node: how many values it holds, and on how many levels.
    sizes: dict[int, tuple[int, int]] = {}

    def size(node: yaml.Node, above: frozenset[int]) -> tuple[int, int]:
        if id(node) in above:
            line = node.start_mark.line + 1
            raise UserError(f"{path} line {line}: an alias stands within what it repeats: write it out")
        if id(node) not in sizes:
            inner: list[yaml.Node] = []
            if isinstance(node, yaml.MappingNode):
                inner = [each for pair in node.value for each in pair]
            elif isinstance(node, yaml.SequenceNode):
                inner = node.value
            found = [size(each, above | {id(node)}) for each in inner]
            sizes[id(node)] = (
                1 + sum(values for values, _ in found),
                1 + max((e[1] for e in found), default=0),
            )
        return sizes[id(node)]

    if node is None:
        return
    values, levels = size(node, frozenset())
    if levels > MOST_LEVELS:
        raise RecursionError
    if values > MOST_VALUES:
        raise UserError(f"{path}: its aliases come to {values:,} values: write out what is meant")


def _listed() -> str:
    return ", ".join(config_names()) or "(no configs found)"


def _refuse_duplicates(node: yaml.Node, path: Path, above: Sequence[str]) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name = ".".join((*above, str(key.value)))
        if key.value in seen:
            raise UserError(f"{path} line {key.start_mark.line + 1}: key {name} is given twice; keep one")
        seen.add(key.value)
        _refuse_duplicates(value, path, (*above, str(key.value)))


def _refuse_non_finite(content: object, path: Path, above: Sequence[str]) -> None:
    if isinstance(content, float) and not math.isfinite(content):
        raise UserError(f"{path}: {'.'.join(above)} is {content}; give a finite number")
    if isinstance(content, dict):
        for key, value in content.items():
            _refuse_non_finite(value, path, (*above, str(key)))
    if isinstance(content, list):
        for number, value in enumerate(content):
            _refuse_non_finite(value, path, (*above, str(number)))
