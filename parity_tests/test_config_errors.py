"""parity_common.config_errors against the messages jsonargparse really raises."""

from pathlib import Path
from typing import Literal

import pytest
from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import PositiveInt

from parity_common.command_errors import UserError
from parity_common.config_errors import explain, refuse_unknown_keys

KNOWN = ["seed", "model.arch", "model.learning_rate", "data.image_size", "data.keep", "trainer.max_epochs"]


class Model:
    def __init__(self, arch: Literal["v1", "v3"] = "v1", learning_rate: float = 0.1) -> None: ...


class Data:
    def __init__(self, image_size: tuple[int, int] = (64, 64), keep: PositiveInt | None = None) -> None: ...


def refusal(arguments: list[str]) -> str:
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_class_arguments(Model, "model")
    parser.add_class_arguments(Data, "data")
    with pytest.raises(ArgumentError) as raised:
        parser.parse_args(arguments)
    return explain(raised.value, KNOWN)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--model.lerning_rate", "1"],
            'unknown option --model.lerning_rate (did you mean "--model.learning_rate"?)',
        ),
        (["--learning_rate", "1"], 'unknown option --learning_rate (did you mean "--model.learning_rate"?)'),
        (["--trainer.devices=2"], "unknown option --trainer.devices: trainer takes max_epochs"),
        (
            ["stray"],
            'unexpected argument "stray": give settings as --KEY VALUE, configs as --config NAME',
        ),
        (["--model.arch"], "--model.arch needs a value"),
        (["--model.arch", "v33"], 'model.arch is v33: one of v1, v3 (did you mean "v3"?)'),
        (["--model.learning_rate", "x"], "model.learning_rate is x: give a number"),
        (["--seed", "1.5"], "seed is 1.5: give a whole number"),
        (["--data.image_size", "64"], "data.image_size is 64: give a list such as [64, 64]"),
        (["--data.image_size", "[64]"], "data.image_size is [64]: give a list of 2 values"),
        (["--data.keep", "0"], "data.keep is 0: give a whole number above 0 or null"),
        (["--data.keep", "many"], "data.keep is many: give a whole number above 0 or null"),
    ],
)
def test_a_bad_option_is_explained_in_one_line(arguments, line):
    assert refusal(arguments) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("model: {lerning_rate: 1}", 'unknown key model.lerning_rate (did you mean "model.learning_rate"?)'),
        ("modl: {arch: v1}", 'unknown key modl.arch (did you mean "model.arch"?)'),
        ("trainer: {devices: 2}", "unknown key trainer.devices: trainer takes max_epochs"),
        ("model: {arch: v9}", "model.arch is v9: one of v1, v3"),
        ("data: {keep: 0}", "data.keep is 0: give a whole number above 0 or null"),
        ("seed: true", "seed is True: give a whole number"),
    ],
)
def test_a_bad_config_is_explained_in_one_line(tmp_path, text, line):
    (tmp_path / "bad.yaml").write_text(text)
    explained = refusal(["--config", str(tmp_path / "bad.yaml")])
    assert explained.startswith(line)
    assert "\n" not in explained


def test_an_unforeseen_message_is_kept_on_one_short_line():
    explained = explain(ValueError("first\n  second " + "x" * 1000), KNOWN)
    assert explained.startswith("first second")
    assert len(explained) <= 300


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"modl": {}}, 'unknown key modl (did you mean "model"?)'),
        ({"model": 3}, "model is 3: it holds keys (model.arch, model.learning_rate)"),
        ({"model": None}, "model is null: it holds keys"),
        ({"arch": "v1"}, 'unknown key arch (did you mean "model.arch"?)'),
    ],
)
def test_keys_that_jsonargparse_lets_pass_are_refused(content, line):
    with pytest.raises(UserError) as raised:
        refuse_unknown_keys(content, KNOWN, Path("bad.yaml"))
    assert str(raised.value).startswith(f"bad.yaml: {line}")


def test_known_keys_are_not_refused():
    refuse_unknown_keys({"seed": 1, "model": {"arch": "v1"}, "data": {}}, KNOWN, Path("good.yaml"))
