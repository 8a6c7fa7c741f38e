"""A config of any shape is refused in one line that names the file and the key, alike on both sides."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from keras_reference.config import read_settings
from parity_common.command_errors import UserError
from parity_common.config_files import given_values, read_config
from parity_tests.entry_point import fit

# Seven levels of nine aliases each: half a thousand million values.
ALIASES = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]\n"
    for above, name in zip("abcdefg", "bcdefgh", strict=True)
)
CASES = {
    "group is a number": ("trainer: 7", "trainer is 7: it holds keys, such as max_epochs: 4"),
    "group is null": ("data: null", "data is null: it holds keys"),
    "group is a list": ("model: []", "model is []: it holds keys"),
    "group is a text": ("model: v3", "model is v3: it holds keys, such as arch: v3"),
    "inner group is a number": ("data: {augment: 5}", "data.augment is 5: it holds keys"),
    "inner group is null": ("data: {augment: null}", "data.augment is null: it holds keys"),
    "unknown group": ("modle: {}", 'unknown key modle (did you mean "model"?)'),
    "unknown group of nothing near": ("zzz: {a: 1}", "unknown key zzz: there are "),
    "key one level too high": ("arch: v3", 'unknown key arch (did you mean "model.arch"?)'),
    "unknown key": ("model: {lerning_rate: 1}", 'unknown key model.lerning_rate (did you mean "model.lear'),
    "key of a number": ("1: 2", "unknown key 1: there are "),
    "habit": ("trainer: {epochs: 3}", 'unknown key trainer.epochs (did you mean "trainer.max_epochs"?)'),
    "habit above": ("lr: 0.1", 'unknown key lr (did you mean "model.learning_rate"?)'),
    "wrong type": ("model: {learning_rate: x}", "model.learning_rate is x: give a number"),
    "null": ("data: {batch_size: null}", "data.batch_size is null: give a value or leave the key out"),
    "null above": ("runs: null", "runs is null: give a value or leave the key out"),
    "negative seed": (
        "seed_everything: -1",
        "seed_everything is -1: give a whole number from 0 to 4294967295",
    ),
    "large seed": ("seed_everything: 4294967296", "seed_everything is 4294967296: give a whole number"),
    "seed that is none": ("seed_everything: true", "seed_everything is True: give a whole number"),
    "alias in itself": ("a: &a [*a]", "an alias stands within what it repeats"),
    "alias in a group": ("model: &m {arch_arguments: *m}", "an alias stands within what it repeats"),
    "aliases of aliases": (ALIASES, "its aliases come to "),
    "deep brackets": (f"a: {'[' * 5000}{']' * 5000}", "nested deeper than 20 levels"),
    "deep keys": ("model: " + "{a: " * 60 + "1" + "}" * 60, "nested deeper than 20 levels"),
    "large": ("# " + "x" * 300_000 + "\nmodel: {}", "larger than 256 KiB"),
}


def lightning(cwd: Path, *words: object) -> str:
    """The line of the Lightning side, which leaves nothing else."""
    done = fit(*words, cwd=cwd, code=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert not (cwd / "runs").exists()
    return done.stderr.removeprefix("error: ")


def keras(cwd: Path, *words: object) -> str:
    """The line of the Keras side, in this process: it refuses before it loads Keras."""
    with pytest.raises(UserError) as raised:
        read_settings([str(word) for word in words])
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("side", [pytest.param(lightning, marks=pytest.mark.full), keras])
@pytest.mark.parametrize("case", CASES)
def test_config_of_another_shape_is_one_line(case: str, side: Callable[..., str], tmp_path: Path) -> None:
    text, line = CASES[case]
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    said = side(tmp_path, "--config", "v3", "--config", path)
    assert said.startswith(str(path)), said
    assert line in said


@pytest.mark.process
@pytest.mark.parametrize("side", [lightning, keras])
def test_shape_is_judged_before_the_config_is_printed(side: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("model: 5")
    said = side(tmp_path, "--config", "v3", "--config", tmp_path / "odd.yaml", "--print_config")
    assert said.startswith(f"{tmp_path / 'odd.yaml'}: model is 5")


@pytest.mark.parametrize(
    ("text", "line"), [CASES["aliases of aliases"], CASES["deep brackets"], CASES["large"]]
)
def test_config_without_end_is_refused_at_once(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(UserError, match=line):
        read_config(path)
    assert time.monotonic() - started < 1


def test_aliases_that_end_are_read(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(
        "callbacks: &c [{EarlyStopping: {patience: 5}}]\nname: x\nmodel: {arch_arguments: {a: *c}}\n"
    )
    assert read_config(path)["model"]["arch_arguments"]["a"] == [{"EarlyStopping": {"patience": 5}}]


@pytest.mark.process
@pytest.mark.parametrize("group", ["model", "trainer", "data.augment"])
@pytest.mark.parametrize("value", ["5", "null", "[]"])
def test_group_given_as_a_value_is_one_line(group: str, value: str, tmp_path: Path) -> None:
    said = lightning(tmp_path, "--config", "v3", f"--{group}", value)
    assert said.startswith(f"--{group} is {value}: it holds keys, give --{group}.KEY VALUE")


@pytest.mark.process
@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--epochs", "--trainer.max_epochs"),
        ("--trainer.epochs", "--trainer.max_epochs"),
        ("--lr", "--model.learning_rate"),
        ("--model.lr", "--model.learning_rate"),
        ("--batch", "--data.batch_size"),
        ("--batch-size", "--data.batch_size"),
        ("--ckpt_path", "--resume"),
        ("--seed", "--seed_everything"),
        ("--output_dir", "--runs"),
    ],
)
def test_option_of_another_trainer_has_a_hint(option: str, meant: str, tmp_path: Path) -> None:
    said = lightning(tmp_path, "--config", "v3", option, 1)
    assert said == f'unknown option {option} (did you mean "{meant}"?)\n'
    if meant != "--resume":
        assert keras(tmp_path, "--config", "v3", option, 1) == said.rstrip()


def test_values_of_an_option_are_found_in_either_spelling() -> None:
    words = ["--config", "v3", "-c=mine", "--model.arch", "v2", "--config"]
    assert given_values(words, "--config", "-c") == ["v3", "mine"]
