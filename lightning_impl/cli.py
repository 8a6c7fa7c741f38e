"""LightningCLI as the fit uses it: bare config names, one-line errors, one run folder a start."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ActionConfigFile, Namespace
from lightning import Trainer
from lightning.pytorch.callbacks import RichModelSummary
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher

from lightning_impl.augment.standardise import standardising_of
from lightning_impl.callbacks import (
    AtomicCheckpointIO,
    AveragedWeights,
    EpochLog,
    StopOnNonFiniteLoss,
    best_checkpoint,
    last_checkpoint,
)
from lightning_impl.data.datamodule import ImageData
from lightning_impl.frozen_features import FrozenFeatures
from lightning_impl.keras_semantics.callbacks import callbacks_from_keras
from lightning_impl.keras_semantics.profile import PROFILES
from lightning_impl.module import Classifier
from lightning_impl.monitors import check_monitors
from lightning_impl.progress_bar import EpochBar
from lightning_impl.refusals import refusals_in_one_line
from lightning_impl.resume import ExactResume, StepCheckpoint
from lightning_impl.resumed_run import RUN_FOLDER_VARIABLE, is_started_by_lightning
from lightning_impl.run_start import RunStart
from parity_common.callback_settings import callbacks_of
from parity_common.command_errors import UserError
from parity_common.config_check import EXAMPLES, check_config_file, check_group_options, check_seed
from parity_common.config_errors import explain
from parity_common.config_files import config_names, find_config, given_values, read_config
from parity_common.extras import how_to_install
from parity_common.home_path import home_path
from parity_common.run_folder import RunFolder

DEFAULT_SEED = 2021
# What Lightning trains where nothing says how long.
DEFAULT_EPOCHS = 1000


class NamedConfig(ActionConfigFile):
    """`--config` that takes a bare name (`v3`) as well as a path; an unusable file is refused in one line."""

    def __call__(self, parser, cfg, values, option_string=None):
        path = find_config(str(values))
        read_config(path)
        super().__call__(parser, cfg, str(path), option_string)


class FitCLI(LightningCLI):
    """Parses the command line, then makes the data, the model, the run folder and the trainer, in this order.

    Args:
        arguments: The command line without the program's name.
        default_name: The run's name where none is given: the first config's.

    Raises:
        UserError: Anything wrong with the command line, the config or the data.
    """

    run_folder: RunFolder
    start: RunStart
    frozen: FrozenFeatures

    def __init__(self, arguments: list[str], default_name: str) -> None:
        self.default_name = default_name
        self.arguments = arguments
        quieten()
        super().__init__(
            Classifier,
            ImageData,
            save_config_callback=None,
            seed_everything_default=DEFAULT_SEED,
            trainer_defaults={
                "logger": False,
                "num_sanity_val_steps": 0,
                # ImageData deals a batch out itself, without repeating images to even the numbers.
                "use_distributed_sampler": False,
            },
            parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
            args=arguments,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def init_parser(self, **kwargs) -> LightningArgumentParser:
        parser = self.parser_class(**kwargs)
        parser.add_argument(
            "-c", "--config", action=NamedConfig, help="A config's name or path; later ones win."
        )
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--runs", type=str, default="runs", help="Where run folders go.")
        parser.add_argument(
            "--name", type=str | None, default=None, help="The run's name; else the config's."
        )
        parser.add_argument("--resume", type=str | None, default=None, help="A run folder to go on with.")
        parser.add_argument(
            "--callbacks",
            type=list[dict[str, dict[str, Any] | None]] | None,
            default=None,
            help="Keras's callbacks by Keras's names, such as [{EarlyStopping: {patience: 5}}].",
        )
        parser.add_argument("--tensorboard", type=bool, default=False, help="Write TensorBoard logs as well.")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("data.image_size", "model.image_size")
        parser.link_arguments("data.augment", "model.standardise", compute_fn=standardising_of)
        parser.link_arguments("model.profile", "data.profile")
        parser.link_arguments("data.class_names", "model.class_names", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        known = _known_keys(parser)
        for name in given_values(self.arguments, "-c", "--config"):
            check_config_file(find_config(name), parser, known)
        check_group_options(self.arguments, EXAMPLES)
        try:
            self.config: Namespace = parser.parse_args(self.arguments)
        except (argparse.ArgumentError, TypeError) as error:
            raise UserError(explain(error, known)) from error
        check_seed("seed_everything", self.config.seed_everything)

    def instantiate_classes(self) -> None:
        with refusals_in_one_line("settings"):
            super().instantiate_classes()

    def instantiate_trainer(self, **kwargs) -> Trainer:
        said = [{"class": name, "config": config} for name, config in callbacks_of(self.config.callbacks)]
        self.keras_callbacks = callbacks_from_keras(said, PROFILES[self.config.model.profile])
        if self.config.model.fine_tune is not None and self.keras_callbacks:
            raise UserError(
                "callbacks beside model.fine_tune: Keras begins them anew with each stage; leave one out"
            )
        config = self._get(self.config_init, "trainer", default={})
        check_monitors(self.keras_callbacks, config)
        if config.get("accumulate_grad_batches", 1) < 1:
            raise UserError(
                f"trainer.accumulate_grad_batches is {config['accumulate_grad_batches']}: give 1 or more"
            )
        # The run's own config names no run to go on with: `--config` of it starts one anew.
        complete = self.config.clone()
        complete.resume = None
        with refusals_in_one_line("config.yaml cannot hold these settings"):
            text = self.parser.dump(complete, skip_unset=False)
        if self.config.resume is None:
            self.model.check_pretrained()
        # What can still go wrong with the data goes wrong here, before a run folder exists.
        self.datamodule.image_set.make_folder()
        if not is_started_by_lightning():
            for line in self.datamodule.image_set.start_lines():
                print(line, file=sys.stderr, flush=True)
        self.datamodule.prepare_data()
        resumed = self.config.resume is not None
        if not resumed:
            line = self.model.load_pretrained()
            if line:
                print(line)
        run = self.run_folder = self._open_run_folder()
        is_new = not resumed and not is_started_by_lightning()
        self.start = RunStart(run, text, is_new)
        steps = StepCheckpoint(run)
        self.frozen = FrozenFeatures(steps.end_if_asked)
        callbacks = [
            self.start,
            self.frozen,
            EpochLog(run),
            AveragedWeights(run),
            *self.keras_callbacks,
            best_checkpoint(run),
            last_checkpoint(run),
            StopOnNonFiniteLoss(),
            ExactResume(),
            steps,
        ]
        if config.get("enable_progress_bar") is not False:
            callbacks.append(EpochBar(refresh_rate=5))
        if not is_new:
            kwargs["enable_model_summary"] = False
        elif config.get("enable_model_summary") is not False:
            callbacks.append(RichModelSummary(max_depth=2))
        if config.get("default_root_dir") is None:
            # Where loggers and finders write that are given no place.
            kwargs["default_root_dir"] = run.path
        if _is_endless(config):
            print(
                f"trainer.max_epochs is not set: {DEFAULT_EPOCHS} epochs, Lightning's default; "
                "--trainer.max_epochs N sets it",
                file=sys.stderr,
            )
            kwargs["max_epochs"] = DEFAULT_EPOCHS
        try:
            if self.config.tensorboard:
                kwargs["logger"] = _tensorboard(run)
            plugins = config.get("plugins") or []
            kwargs["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
            with refusals_in_one_line("trainer settings"):
                trainer = self._instantiate_trainer({**config, **kwargs}, callbacks)
            _check_launcher(trainer, config)
            return trainer
        except BaseException:
            self.start.undo()
            raise

    def _open_run_folder(self) -> RunFolder:
        if is_started_by_lightning():
            # The first process has made the folder.
            if RUN_FOLDER_VARIABLE not in os.environ:
                raise UserError(
                    "give --trainer.devices N: Lightning starts the processes itself, no launcher"
                )
            return RunFolder(Path(os.environ[RUN_FOLDER_VARIABLE]))
        if self.config.resume is not None:
            run = RunFolder(Path(self.config.resume))
        else:
            run = RunFolder.create(home_path(self.config.runs), self.config.name or self.default_name)
        os.environ[RUN_FOLDER_VARIABLE] = str(run.path.resolve())
        return run


class DataCLI(FitCLI):
    """Reads a fit's command line and makes its data and model, but neither run folder nor trainer."""

    def instantiate_classes(self) -> None:
        made = self.parser.instantiate_classes(self.config)
        self.datamodule, self.model = made.data, made.model


def read_data(arguments: list[str]) -> ImageData:
    """The data of a config, for commands that train nothing.

    Args:
        arguments: As for the fit.

    Raises:
        UserError: Anything wrong with them.
    """
    if not any(word.startswith(("-c", "--config")) for word in arguments):
        raise UserError(f"no config given: -c NAME, one of {', '.join(config_names())}, or a path")
    return DataCLI(arguments, "data").datamodule


def _known_keys(parser: LightningArgumentParser) -> list[str]:
    """What a config takes, without the groups, which hold keys, and what only a command line has."""
    names = [action.dest for action in parser._actions]
    return [
        name
        for name in names
        if name not in ("help", "config", "print_config", "print_shtab", argparse.SUPPRESS)
        and not name.endswith(".help")
        and not any(other.startswith(f"{name}.") and not other.endswith(".help") for other in names)
    ]


def _check_launcher(trainer: Trainer, settings: dict[str, Any]) -> None:
    # What the processes learn would have to come back into this one, which closes the run.
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            f"trainer.strategy {settings.get('strategy')} starts processes out of this one's memory, which a "
            "fit cannot be moved to: give ddp, whose processes start anew"
        )


def _is_endless(trainer: dict[str, Any]) -> bool:
    """Whether nothing says how long to train."""
    limits = trainer.get("max_epochs"), trainer.get("max_time"), trainer.get("fast_dev_run") or None
    return all(limit is None for limit in limits) and trainer.get("max_steps") == -1


def _tensorboard(run: RunFolder):
    from lightning.pytorch.loggers import TensorBoardLogger

    try:
        return TensorBoardLogger(run.path, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise UserError(f"--tensorboard needs: {how_to_install('tensorboard')}") from error


def quieten() -> None:
    """Lightning without what it says at every start."""
    # Hardware lines and tips at every start; what matters of them is in the model table and the closing line.
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Batches are gathered whole from a mapped file: workers would only copy them once more.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
    # The closing line says which epochs were not validated.
    warnings.filterwarnings("ignore", message=".*monitor='val_accuracy'.* could not find the monitored key")
    # Lightning's own use of a torch name that torch has deprecated.
    warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
    torch.set_float32_matmul_precision("highest")
