"""Config files: which file a name means, and what makes a file unusable before anything reads it."""

from __future__ import annotations

import importlib.resources
import math
from collections.abc import Sequence
from pathlib import Path

import yaml

from parity_common.command_errors import UserError, did_you_mean

CONFIG_SUFFIXES = (".yaml", ".yml", ".json")
# In a folder of configs, the study made of them: no config of a fit itself.
STUDY_FILE = "study.yaml"


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
        if not Path(name).is_file():
            raise UserError(f"no config file {name}: give a path that exists, or one of {_listed()}")
        return Path(name)
    for folder in (Path("configs"), package_configs()):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise UserError(f'no config "{name}"{did_you_mean(name, config_names())}: one of {_listed()}')


def read_config(path: Path) -> dict:
    """Reads a YAML config and refuses what a YAML reader lets pass in silence.

    Raises:
        UserError: Not readable, not YAML, not a mapping, a key given twice, a number that is not finite.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.load(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not YAML ({getattr(error, 'problem', None) or error})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a usable config ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no keys; a config starts with lines such as `model:`")
    _refuse_duplicates(node, path, ())
    _refuse_non_finite(content, path, ())
    return content


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
