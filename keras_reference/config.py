"""The settings of a Keras fit, read from the same YAML files as the Lightning side."""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from keras_reference.backend import PACKAGE_OF_PROFILE
from keras_reference.models import BUILDERS
from parity_common.arch_arguments import check_arch_arguments
from parity_common.augment_settings import AugmentSettings
from parity_common.callback_settings import callbacks_of
from parity_common.command_errors import UserError, did_you_mean
from parity_common.config_check import (
    check_config_file,
    check_group_options,
    check_seed,
    check_topmost,
)
from parity_common.config_errors import explain
from parity_common.config_files import config_names, find_config, read_config
from parity_common.data_sources import SOURCES, Source
from parity_common.fine_tune_settings import fine_tune_of
from parity_common.image_memory import check_image_size

OPTIMIZERS = {
    name.lower(): name
    for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "Ftrl", "Nadam", "RMSprop", "SGD")
}
"""`model.optimizer` of a config to the class's name in Keras."""

# Four poolings by 2, in v2 and v3, leave one pixel of 16.
SMALLEST_SIDE_PIXELS = 16


def setting(default: Any, meaning: str) -> Any:
    """A field of a settings class; `meaning` is its line in --help."""
    return field(default=default, metadata={"help": meaning})


@dataclass(frozen=True)
class ModelSettings:
    arch: str = setting("v3", f"which net: {', '.join(BUILDERS)}")
    profile: str = setting("tf2.4", f"whose rules hold: {', '.join(PACKAGE_OF_PROFILE)}")
    optimizer: str = setting("nadam", f"{', '.join(OPTIMIZERS)}, with Keras's defaults but for the rate")
    learning_rate: float = setting(0.001, "per step, above 0; a schedule's initial_learning_rate")
    optimizer_arguments: dict[str, Any] | None = setting(None, "more of the optimizer's, such as clipnorm")
    arch_arguments: dict[str, Any] | None = setting(None, "the architecture's own arguments, by name")
    weights: str = setting(
        "none", "final's before the training: none, package, keras-imagenet, or a Keras file"
    )
    fine_tune: dict[str, Any] | None = setting(
        None, "final's second stage: unfreeze_from, start_epoch, learning_rate; null trains all at once"
    )
    schedule: dict[str, dict[str, Any]] | None = setting(
        None, "a learning-rate schedule, such as {CosineDecay: {decay_steps: 3000}}; null keeps the rate"
    )


@dataclass(frozen=True)
class DataSettings:
    root: str | None = setting(None, "folder of class folders; null uses data.source")
    source: Source = setting("stand_in", f"where root is null: {', '.join(SOURCES)}, fetched once")
    stand_in_per_class: int = setting(200, "images a class of the stand-in set")
    image_size: tuple[int, int] = setting((64, 64), "height and width in pixels")
    batch_size: int = setting(32, "images a step")
    validation_split: float = setting(0.2, "share of each class that is validation, in (0, 1)")
    subset_per_class: int | None = setting(None, "images a class to keep, drawn before the split")
    subset_seed: int = setting(0, "draws the subset")
    classes: list[str] | None = setting(None, "class folders to use, in label order; null: all, sorted")
    augment: AugmentSettings = setting(AugmentSettings(), "ImageDataGenerator's arguments")
    expand: int | None = setting(None, "each image once as it is and so many times less one augmented")
    expand_mode: Literal["online", "fixed"] = setting("online", "augment anew each epoch, or once")
    augment_on: Literal["auto", "workers", "device"] = setting(
        "auto", "of the Lightning side; no effect here"
    )
    cache: Literal["auto", "disk", "memory", "device"] = setting(
        "auto", "of the Lightning side; no effect here"
    )
    cache_features: bool = setting(True, "of the Lightning side; no effect here")
    cache_dir: str | None = setting(None, "where the stand-in set lies; null: the user's cache folder")
    num_workers: int = setting(0, "of the Lightning side; no effect here")


@dataclass(frozen=True)
class TrainerSettings:
    max_epochs: int = setting(30, "epochs to train")


@dataclass(frozen=True)
class Settings:
    """What drives a fit.

    Attributes:
        name: The first config's bare name, unless given.
        complete: The same as YAML, every key set: `--config` reads it back.
    """

    model: ModelSettings
    data: DataSettings
    trainer: TrainerSettings
    seed_everything: int
    callbacks: list[tuple[str, dict[str, Any]]]
    runs: str
    name: str
    complete: str


GROUPS = {"model": ModelSettings, "data": DataSettings, "trainer": TrainerSettings}


def read_settings(arguments: list[str]) -> Settings:
    """Reads the command line and the configs it names; a later config or option wins.

    Args:
        arguments: Without the program's name.

    Raises:
        UserError: An unknown name, key or option, a value of the wrong type or out of range.
        SystemExit: After --help or --print_config.
    """
    parser = _parser()
    known = [f"{group}.{entry.name}" for group, kind in GROUPS.items() for entry in fields(kind)]
    known += [f"data.augment.{entry.name}" for entry in fields(AugmentSettings)]
    known += ["seed_everything", "callbacks", "runs", "name"]
    arguments, configs = _with_config_paths(arguments)
    if configs:
        parser.set_defaults({"name": configs[0].stem})
    for path in configs:
        check_topmost(read_config(path), path)
        _check_file(path, parser, known)
    check_group_options(arguments, ("data.augment",))
    try:
        namespace = parser.parse_args(arguments)
    except ArgumentError as error:
        raise UserError(_about_trainer(explain(error, known))) from error
    if not configs:
        raise UserError(f"no config given: --config NAME, one of {', '.join(config_names())}, or a path")
    settings = _settings(namespace, parser)
    _check(settings)
    _check_transfer(settings)
    expand = settings.data.expand
    # Of the merged settings alone: an overlay may give the one, the config under it the other.
    if expand is not None and not settings.data.augment.is_random:
        raise UserError(
            f"data.expand is {expand}, but data.augment changes nothing: give it a range, or leave "
            "data.expand out"
        )
    return settings


def _check_transfer(settings: Settings) -> None:
    """Of the merged settings alone: a file may give the weights, the one under it the architecture."""
    model = settings.model
    for key, is_given in (("weights", model.weights != "none"), ("fine_tune", model.fine_tune is not None)):
        if is_given and model.arch != "final":
            raise UserError(f"model.{key} is for model.arch final: {model.arch} is trained from the start")
    if model.weights == "torchvision-imagenet" or model.weights.endswith(".ckpt"):
        raise UserError(
            f"model.weights {model.weights} is the Lightning side's: give keras-imagenet or a Keras file"
        )
    if model.fine_tune is not None and settings.callbacks:
        raise UserError(
            "callbacks beside model.fine_tune: Keras begins them anew with each stage; leave one of them out"
        )


def _check_file(path: Path, parser: ArgumentParser, known: list[str]) -> None:
    """Judges one file alone first: in a refusal of the merged settings nothing would name the file."""
    try:
        namespace = check_config_file(path, parser, known)
    except UserError as error:
        raise UserError(_about_trainer(str(error))) from error
    try:
        _check(_settings(namespace, parser))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="keras_reference.fit",
        usage="python -m keras_reference.fit --config NAME [--config NAME ...] [--KEY VALUE ...]",
        description="Trains a classifier of the record in Keras.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "-c",
        "--config",
        action="config",
        help=f"{', '.join(config_names())}, or a path; repeated, the later wins",
    )
    parser.add_argument("--runs", type=str, default="runs", help="folder of the run folders")
    parser.add_argument("--name", type=str | None, default=None, help="folder of this run's kind in it")
    parser.add_argument(
        "--seed_everything", type=int, default=2021, help="start weights, dropout, batch order"
    )
    parser.add_argument(
        "--callbacks",
        type=list[dict[str, dict[str, Any] | None]] | None,
        default=None,
        help="Keras's callbacks, such as [{EarlyStopping: {patience: 5}}]",
    )
    for group, settings_class in GROUPS.items():
        types = typing.get_type_hints(settings_class)
        for entry in fields(settings_class):
            parser.add_argument(
                f"--{group}.{entry.name}",
                type=types[entry.name],
                default=entry.default,
                help=entry.metadata["help"],
            )
    return parser


def _with_config_paths(arguments: list[str]) -> tuple[list[str], list[Path]]:
    """Replaces every `--config NAME` by the path it means, which the parser then reads in place."""
    replaced: list[str] = []
    configs: list[Path] = []
    rest = iter(arguments)
    for argument in rest:
        option, equals, name = argument.partition("=")
        if option not in ("-c", "--config"):
            replaced.append(argument)
            continue
        if not equals:
            name = next(rest, "")
        if not name or name.startswith("--"):
            raise UserError(f"--config needs a name: one of {', '.join(config_names())}, or a path")
        configs.append(find_config(name))
        replaced.append(f"--config={configs[-1]}")
    return replaced, configs


def _settings(namespace: Namespace, parser: ArgumentParser) -> Settings:
    made = parser.instantiate(namespace)
    groups = {name: settings_class(**vars(made[name])) for name, settings_class in GROUPS.items()}
    complete = parser.dump(namespace, skip_unset=False)
    return Settings(
        **groups,
        seed_everything=namespace.seed_everything,
        callbacks=callbacks_of(namespace.callbacks),
        runs=namespace.runs,
        name=namespace.name,
        complete=complete,
    )


def _check(settings: Settings) -> None:
    model, data = settings.model, settings.data
    for group, settings_class in GROUPS.items():
        types = typing.get_type_hints(settings_class)
        for entry in fields(settings_class):
            # The parser lets null through wherever a file has it.
            nullable = type(None) in typing.get_args(types[entry.name])
            if getattr(getattr(settings, group), entry.name) is None and not nullable:
                raise UserError(f"{group}.{entry.name} is null: give a value or leave the key out")
    for key, value, choices in (
        ("arch", model.arch, BUILDERS),
        ("profile", model.profile, PACKAGE_OF_PROFILE),
        ("optimizer", model.optimizer, OPTIMIZERS),
    ):
        if value not in choices:
            hint = did_you_mean(value, choices)
            raise UserError(f'model.{key} is "{value}"{hint}: one of {", ".join(choices)}')
    check_arch_arguments(model.arch, BUILDERS[model.arch], model.arch_arguments or {})
    fine_tune_of(model.fine_tune)
    if not 0 < model.learning_rate < math.inf:
        raise UserError(f"model.learning_rate is {model.learning_rate}: give a number above 0")
    if not 0 < data.validation_split < 1:
        raise UserError(f"data.validation_split is {data.validation_split}: give a share between 0 and 1")
    if min(data.image_size) < SMALLEST_SIDE_PIXELS:
        raise UserError(
            f"data.image_size is {list(data.image_size)}: give height and width, "
            f"{SMALLEST_SIDE_PIXELS} pixels or more"
        )
    for key, number, least in (
        ("data.stand_in_per_class", data.stand_in_per_class, 2),
        ("data.batch_size", data.batch_size, 1),
        ("data.expand", data.expand, 2),
        ("data.subset_per_class", data.subset_per_class, 2),
        ("data.subset_seed", data.subset_seed, 0),
        ("trainer.max_epochs", settings.trainer.max_epochs, 1),
    ):
        if number is not None and number < least:
            raise UserError(f"{key} is {number}: give {least} or more")
    check_image_size(data.image_size, data.batch_size)
    check_seed("seed_everything", settings.seed_everything)
    check_seed("data.subset_seed", data.subset_seed)
    if not settings.runs:
        raise UserError("runs is empty: give the folder of the run folders")
    if not settings.name or Path(settings.name).name != settings.name:
        raise UserError(f'name is "{settings.name}": give a folder name without "/"')


def _about_trainer(line: str) -> str:
    """Says why a key of Lightning's Trainer is refused: most of them have no meaning in Keras."""
    return f"{line} on the Keras side" if "trainer takes" in line else line
