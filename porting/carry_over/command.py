"""`python -m porting carry-over FILE --config NAME --out RUN`: a Keras training goes on in Lightning."""

from __future__ import annotations

import argparse
from pathlib import Path

from parity_common.command_errors import UserError

# What the file says, or --out.
NOT_GIVEN = (
    "model.profile",
    "model.optimizer",
    "model.optimizer_arguments",
    "model.learning_rate",
    "model.schedule",
    "model.weights",
    "trainer.precision",
    "resume",
    "runs",
    "name",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments, and what runs it; those of the fit are left to it."""
    parser.add_argument("file", type=Path, help="a trained model, saved whole by Keras: .h5 or .keras")
    parser.add_argument(
        "-c", "--config", action="append", required=True, help="a config's name or path; later ones win"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run folder to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Writes the run folder and says how it goes on.

    Raises:
        UserError: The file's training cannot go on exactly, or something given is wrong.
    """
    _check_words(arguments.rest)
    if arguments.out.exists():
        raise UserError(f"--out {arguments.out} exists: choose another")
    # Its imports take seconds, which the other commands need not.
    from porting.carry_over.carry import carry_over

    configs = [word for name in arguments.config for word in ("--config", name)]
    print(carry_over(arguments.file, [*configs, *arguments.rest], arguments.out))
    print(f"go on with: python -m lightning_impl.fit --resume {arguments.out}")
    return 0


def _check_words(words: list[str]) -> None:
    for word in words:
        name = word.removeprefix("--").partition("=")[0]
        key = next((key for key in NOT_GIVEN if name == key or name.startswith(f"{key}.")), None)
        if word.startswith("--") and key is not None:
            whose = "--out's" if key in ("resume", "runs", "name") else "the file's"
            raise UserError(f"--{name} is {whose} to say: leave it out")
