"""From a Keras file to a run folder: reads, checks that all of it can go on, then writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from lightning_impl.cli import DataCLI
from porting.carry_over.architecture import check_architecture
from porting.carry_over.compiled import check_loss, dtype_of
from porting.carry_over.net import match
from porting.carry_over.optimizer import KerasOptimizerFound, check_slots, optimizer_of
from porting.carry_over.run import arrived, write_run
from porting.carry_over.stage import LAST_LAYERS, check_stage, first_trained, trains_head_alone
from porting.keras_file import KerasFile, read_keras_file

PRECISIONS = {"float32": "32-true", "float64": "64-true"}


def carry_over(path: Path, words: list[str], out: Path) -> str:
    """Writes the run folder of a Keras file's training.

    Args:
        path: The file.
        words: The fit's arguments, its configs among them.
        out: The folder to write.

    Returns:
        A line that says what was carried over.

    Raises:
        UserError: The training cannot go on exactly, or an argument is wrong. Nothing is written then.
    """
    file = read_keras_file(path)
    found = optimizer_of(file)
    check_loss(file, found.profile)
    precision = PRECISIONS[dtype_of(file)]
    cli = CarryOverCLI(words, file, found, precision)
    check_architecture(file, cli.model.net, cli.model.hparams["image_size"])
    carried = match(file, cli.model.net)
    stage = check_stage(file, carried, cli.model)
    check_slots(file, found, carried)
    write_run(cli, arrived(cli, found, carried, stage, precision), out)
    return _said(file, found, stage, cli)


class CarryOverCLI(DataCLI):
    """A config's data and model, with what the file says in the config's place.

    Args:
        arguments: As for the fit.
        file: Read.
        found: Its optimizer.
        precision: The trainer's, in which the file's weights are.
    """

    def __init__(
        self, arguments: list[str], file: KerasFile, found: KerasOptimizerFound, precision: str
    ) -> None:
        self.file, self.found, self.precision = file, found, precision
        super().__init__(arguments, "carry-over")

    def parse_arguments(self, parser: Any, args: Any) -> None:
        super().parse_arguments(parser, args)
        self.arguments = [*self.arguments, *self._words(self.config.model)]
        super().parse_arguments(parser, args)

    def _words(self, model: Namespace) -> list[str]:
        found = self.found
        rate = model.learning_rate if found.shown_rate is None else found.shown_rate
        given = {
            "model.profile": found.profile.name,
            "model.optimizer": found.name,
            "model.optimizer_arguments": json.dumps(found.arguments or None),
            "model.schedule": json.dumps(found.schedule),
            "model.weights": "none",
            "trainer.precision": self.precision,
        }
        in_second_stage = model.fine_tune is not None and not trains_head_alone(self.file)
        given["model.fine_tune.learning_rate" if in_second_stage else "model.learning_rate"] = repr(rate)
        if in_second_stage:
            given["model.fine_tune.unfreeze_from"] = first_trained(self.file)
        if model.arch == "final":
            # EfficientNet's second Rescaling.
            classes = [layer.class_name for _, layer in self.file.graph.walk()]
            has_two = classes.count("Rescaling") > 1
            given["model.arch_arguments.preprocessing"] = "keras-imagenet" if has_two else "keras"
        return [word for key, value in given.items() for word in (f"--{key}", value)]


def _said(file: KerasFile, found: KerasOptimizerFound, stage: int, cli: DataCLI) -> str:
    rate = "" if found.shown_rate is None else f" at {found.shown_rate:g}"
    schedule = "" if found.schedule is None else f" by {next(iter(found.schedule))}"
    stages = ""
    if cli.model.fine_tune is not None:
        last = f"from {cli.model.fine_tune.unfreeze_from} on"
        stages = f", second stage, {last}" if stage == LAST_LAYERS else ", first stage, the head alone"
    weights = f"{file.parameters:,} numbers in the weights"
    steps = f"{found.steps} steps of {found.name}{rate}{schedule}"
    return f"{file.path}: profile {found.profile.name}, {weights}, {steps}{stages}; epochs count anew"
