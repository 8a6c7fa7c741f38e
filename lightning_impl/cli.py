"""LightningCLI as the fit uses it: bare config names, one-line errors, one run folder a start."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ActionConfigFile, Namespace
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import RichModelSummary, RichProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from lightning_impl.augment.standardise import standardising_of
from lightning_impl.callbacks import (
    AtomicCheckpointIO,
    EpochLog,
    StopOnNonFiniteLoss,
    best_checkpoint,
    last_checkpoint,
)
from lightning_impl.data.datamodule import ImageData
from lightning_impl.keras_semantics.callbacks import callbacks_from_keras
from lightning_impl.keras_semantics.profile import PROFILES
from lightning_impl.module import Classifier
from lightning_impl.resume import ExactResume, StepCheckpoint
from parity_common.callback_settings import callbacks_of
from parity_common.command_errors import UserError
from parity_common.config_errors import explain
from parity_common.config_files import config_names, find_config, read_config
from parity_common.extras import how_to_install
from parity_common.run_folder import RunFolder

DEFAULT_SEED = 2021
# Processes that Lightning starts for several devices inherit it.
RUN_FOLDER_VARIABLE = "KERAS_LIGHTNING_PARITY_RUN_FOLDER"


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
        known_keys = [
            action.dest for action in parser._actions if action.dest not in ("help", argparse.SUPPRESS)
        ]
        try:
            self.config: Namespace = parser.parse_args(self.arguments)
        except argparse.ArgumentError as error:
            raise UserError(explain(error, known_keys)) from error

    def instantiate_trainer(self, **kwargs) -> Trainer:
        said = [{"class": name, "config": config} for name, config in callbacks_of(self.config.callbacks)]
        self.keras_callbacks = callbacks_from_keras(said, PROFILES[self.config.model.profile])
        if self.config.model.fine_tune is not None and self.keras_callbacks:
            raise UserError(
                "callbacks beside model.fine_tune: Keras begins them anew with each stage; leave one out"
            )
        # What can still go wrong with the data goes wrong here, before a run folder exists.
        self.datamodule.prepare_data()
        if self.config.resume is None:
            line = self.model.load_pretrained()
            if line:
                print(line)
        self.run_folder, resumed = self._open_run_folder()
        run = self.run_folder
        callbacks = [
            EpochLog(run),
            *self.keras_callbacks,
            best_checkpoint(run),
            last_checkpoint(run),
            StopOnNonFiniteLoss(),
            ExactResume(),
            StepCheckpoint(run),
        ]
        config = self._get(self.config_init, "trainer", default={})
        if config.get("enable_progress_bar") is not False:
            callbacks.append(RichProgressBar(refresh_rate=5))
        if resumed:
            kwargs["enable_model_summary"] = False
        elif config.get("enable_model_summary") is not False:
            callbacks.append(RichModelSummary(max_depth=2))
        if self.config.tensorboard:
            kwargs["logger"] = _tensorboard(run)
        plugins = config.get("plugins") or []
        kwargs["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
        try:
            trainer = self._instantiate_trainer({**config, **kwargs}, callbacks)
        except (MisconfigurationException, ValueError, TypeError) as error:
            if not resumed:
                shutil.rmtree(run.path)
            raise UserError(f"trainer settings: {error}") from error
        if not resumed:
            self.parser.save(self.config, run.path / "config.yaml", skip_unset=False, overwrite=True)
        return trainer

    def _open_run_folder(self) -> tuple[RunFolder, bool]:
        if self.config.resume is not None:
            return RunFolder(Path(self.config.resume)), True
        if "LOCAL_RANK" in os.environ:
            # Lightning has started this process beside the first, which has made the folder.
            if RUN_FOLDER_VARIABLE not in os.environ:
                raise UserError(
                    "give --trainer.devices N: Lightning starts the processes itself, no launcher"
                )
            return RunFolder(Path(os.environ[RUN_FOLDER_VARIABLE])), True
        run = RunFolder.create(Path(self.config.runs), self.config.name or self.default_name)
        os.environ[RUN_FOLDER_VARIABLE] = str(run.path.resolve())
        return run, False


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
    # Lightning's own use of a torch name that torch has deprecated.
    warnings.filterwarnings("ignore", category=FutureWarning, module="lightning")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
    torch.set_float32_matmul_precision("highest")
