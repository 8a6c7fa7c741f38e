"""jsonargparse's refusals as one line that names the key and the remedy."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

from parity_common.command_errors import UserError, did_you_mean
from parity_common.extras import how_to_install
from parity_common.setting_habits import HABITS

LONGEST_LINE = 300

# What jsonargparse 4.53 says (parity_tests/test_config_errors.py holds each to the real message).
UNKNOWN_KEY_IN_GROUP = re.compile(r"Group '(?P<group>[^']+)' does not accept option '(?P<key>[^']+)'")
UNKNOWN_KEY = re.compile(r"Option '(?P<key>[^']+)' is not accepted")
UNKNOWN_OPTION = re.compile(r"unrecognized arguments: (?P<rest>.+)", re.DOTALL)
NO_VALUE = re.compile(r"argument (?P<option>--\S+): expected one argument")
BAD_VALUE = re.compile(r'Parser key "(?P<key>[^"]+)":\s*(?P<reason>.+)', re.DOTALL)
# One of the last two lines of a union's refusal, or the end of a plain one.
GIVEN_VALUE = re.compile(r"(?:Given|Got) value: (?P<value>.*)\s*\Z", re.DOTALL)
# A restricted number's refusal names the value in its own words.
NOT_A_NUMBER = re.compile(r"could not convert string to float: (?P<value>'.*?')|base 10: (?P<whole>'.*?')")
CHOICES = re.compile(r"Literal\[(?P<choices>[^\]]*)\]")
RESTRICTION = re.compile(r"does not conform to restriction v\s*(?P<rule>[^\n]+)")
# What is wrong with a class that is given by its name.
CLASS_PROBLEM = re.compile(r"Problem with given class_path '(?P<path>[^']+)':\s*(?P<problem>[^\n]+)")
# Lightning's loggers: the modules of which one must be there, and how it is installed.
LOGGER_PACKAGES = {
    "WandbLogger": (("wandb",), "pip install wandb"),
    "MLFlowLogger": (("mlflow",), "pip install mlflow"),
    "TensorBoardLogger": (("tensorboard", "tensorboardX"), how_to_install("tensorboard")),
    "CometLogger": (("comet_ml",), "pip install comet-ml"),
    "NeptuneLogger": (("neptune",), "pip install neptune"),
    "LitLogger": (("litlogger",), "pip install litlogger"),
}
WANTED = {
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number, 0 or more",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number, 0 or more",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "tuple": "a list such as [64, 64]",
    "list": "a list",
    "dict": "keys and values",
    "NoneType": "null",
}


def explain(error: Exception, known_keys: Iterable[str]) -> str:
    """One line for what jsonargparse raises with `exit_on_error=False`.

    Args:
        error: An ArgumentError, or whatever else its parsing raises.
        known_keys: Every key a config takes, dotted, e.g. `model.learning_rate`.
    """
    known = list(known_keys)
    text = str(error).strip()
    if line := missing_package(text):
        return line
    if match := UNKNOWN_KEY_IN_GROUP.search(text):
        return unknown_key(_joined(match["group"], match["key"]), known)
    if match := UNKNOWN_KEY.search(text):
        return unknown_key(match["key"], known)
    if match := UNKNOWN_OPTION.search(text):
        return _unknown_option(match["rest"], known)
    if match := NO_VALUE.search(text):
        return f"{match['option']} needs a value"
    if match := BAD_VALUE.search(text):
        return _bad_value(match["key"], match["reason"])
    return short(text or type(error).__name__)


def missing_package(text: str) -> str:
    """What to install for the logger that an error is about; empty where it is about none, or it is there."""
    for name, (modules, command) in LOGGER_PACKAGES.items():
        if name in text and not any(importlib.util.find_spec(module) for module in modules):
            return f"trainer.logger {name} needs a package that is not installed: {command}"
    return ""


def unknown_key(key: str, known_keys: Iterable[str], given_as: str = "key {}") -> str:
    """The line for a key nobody reads: the nearest known one, or what its group takes.

    Args:
        key: Dotted.
        known_keys: Dotted.
        given_as: How it was given: `key {}` in a file, `option --{}` on the command line.
    """
    known = list(known_keys)
    line = f"unknown {given_as.format(key)}"
    group, _, last = key.rpartition(".")
    last = last.replace("-", "_")
    if (meant := HABITS.get(last)) in known and meant != key:
        return f'{line} (did you mean "{meant}"?)'
    members = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == group]
    # Nearness is judged by the last part: a shared group would make any two keys look alike.
    if hint := did_you_mean(last, members):
        return line + (hint.replace('"', f'"{group}.', 1) if group else hint)
    elsewhere = [name for name in known if name.rpartition(".")[2] == last]
    if elsewhere:
        return f'{line} (did you mean "{elsewhere[0]}"?)'
    if group and members:
        return f"{line}: {group} takes {', '.join(members)}"
    tops = list(dict.fromkeys(name.partition(".")[0] for name in known))
    top = key.partition(".")[0]
    return line + (did_you_mean(top, tops) if top not in tops else "") + f": there are {', '.join(tops)}"


def refuse_unknown_keys(content: dict, known_keys: Iterable[str], path: Path) -> None:
    """Refuses what jsonargparse lets pass: a group it does not know, or one that holds no keys.

    Args:
        content: What a config file holds.
        known_keys: Dotted.
        path: The file, for the message.

    Raises:
        UserError: Names the file and the first such key.
    """
    known = list(known_keys)
    groups = {name[:place] for name in known for place, letter in enumerate(name) if letter == "."}

    def walk(inner: dict, above: str) -> None:
        for name, value in inner.items():
            key = _joined(above, str(name))
            if key in known:
                continue
            if key not in groups:
                raise UserError(f"{path}: {unknown_key(key, known)}")
            if not isinstance(value, dict):
                takes = ", ".join(member for member in known if member.startswith(f"{key}."))
                raise UserError(f"{path}: {key} is {shown_value(value)}: it holds keys ({takes})")
            walk(value, key)

    walk(content, "")


def _unknown_option(rest: str, known: list[str]) -> str:
    word = rest.split()[0]
    if not word.startswith("-"):
        return f'unexpected argument "{short(word)}": give settings as --KEY VALUE, configs as --config NAME'
    name = word.lstrip("-").partition("=")[0]
    dashes = word[: len(word) - len(word.lstrip("-"))]
    line = unknown_key(name, known, f"option {dashes}{{}}")
    return line.replace('(did you mean "', '(did you mean "--')


def _bad_value(key: str, reason: str) -> str:
    if match := CLASS_PROBLEM.search(reason):
        return short(f"{key}: {match['path'].rpartition('.')[2]}: {match['problem']}")
    shown = ""
    if match := GIVEN_VALUE.search(reason):
        shown = match["value"]
    elif match := NOT_A_NUMBER.search(reason):
        shown = (match["value"] or match["whole"]).strip("'")
    elif match := re.search(r"Not of type \w+: (\S+) (?:does not|not a)", reason):
        shown = match[1]
    line = f"{key} is {short(shown, 60)}" if shown else f"{key} does not fit"
    wanted = []
    for match in CHOICES.finditer(reason):
        choices = [choice.strip().strip("'\"") for choice in match["choices"].split(",")]
        wanted.append(f"one of {', '.join(choices)}{did_you_mean(shown, choices)}")
    if "Literal" not in reason:
        # A union's second line lists its members; its errors list them once more.
        named = re.findall(
            r"Not of type (\w+)|<class '(?:[\w.]+\.)?(\w+)'>", reason.partition("Given value")[0]
        )
        for name in dict.fromkeys(first or second for first, second in named):
            wanted.append(WANTED.get(name, name))
        if (length := re.search(r"tuple with (\d+) elements", reason)) is not None:
            wanted.append(f"a list of {length[1]} values")
        if not wanted and (match := RESTRICTION.search(reason)):
            wanted.append(f"a value {match['rule']}")
    if not wanted:
        return short(f"{key}: {reason}")
    return f"{line}: give {' or '.join(wanted)}".replace("give one of", "one of")


def _joined(group: str, key: str) -> str:
    return f"{group}.{key}" if group else key


def shown_value(value: object) -> str:
    """A config's value as a line names it."""
    return "null" if value is None else short(str(value), 60)


def short(text: str, longest: int = LONGEST_LINE) -> str:
    """A text on one line, cut where it is longer."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"
