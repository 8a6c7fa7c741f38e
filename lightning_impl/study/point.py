"""One fit of a study: which module, with which options, and where its runs lie."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from parity_common.command_errors import UserError
from parity_common.config_files import find_config, read_config
from parity_common.run_folder import write_text_atomically

PARAMETERS_FILE = "point.json"
OUTPUT_FILE = "output.txt"
RESULT_FILE = "result.json"


@dataclass(frozen=True)
class Point:
    """A fit, started as a process of its own: `python -m MODULE OPTIONS --runs OUT --name NAME`.

    Its runs lie under `OUT/NAME/DATE-TIME`; it is finished when one of them holds result.json.

    Attributes:
        name: A folder's name, unlike every other point's.
        module: `lightning_impl.fit` or `keras_reference.fit`: never imported, only started.
        options: The rest of the command line, without --runs and --name.

    Raises:
        UserError: A name that is no folder's, or options that say where the runs go.
    """

    name: str
    module: str
    options: tuple[str, ...]

    def __post_init__(self) -> None:
        if Path(self.name).name != self.name or self.name.startswith("."):
            raise UserError(f'point "{self.name}": give a folder name, without "/" and not starting with "."')
        for option in self.options:
            name = option.partition("=")[0]
            if name in ("--runs", "--name"):
                raise UserError(f"point {self.name}: {name} is its queue's to give, leave it out")

    @cached_property
    def run_id(self) -> str:
        """A hash of what decides the result: module, options, and what the configs named there hold."""
        return hashlib.sha256(self._parameters.encode()).hexdigest()[:16]

    def command(self, out: Path) -> list[str]:
        """The words of its command line, this Python first."""
        return [sys.executable, "-m", self.module, *self.options, "--runs", str(out), "--name", self.name]

    def shown_command(self, out: Path) -> str:
        """The command as a user would type it."""
        return shlex.join(["python", *self.command(out)[1:]])

    def folder(self, out: Path) -> Path:
        """Where its runs, its output and its parameters lie."""
        return out / self.name

    def finished_run(self, out: Path) -> Path | None:
        """The run folder that holds result.json, the earliest if there are several; None: not finished.

        Raises:
            UserError: The folder belongs to a point of this name with other parameters.
        """
        self._check_parameters(out)
        results = sorted(self.folder(out).glob(f"*/{RESULT_FILE}"))
        return results[0].parent if results else None

    def write_parameters(self, out: Path) -> None:
        """Makes the folder and puts down whose it is.

        Raises:
            UserError: As `finished_run`, or the folder cannot be written.
        """
        self._check_parameters(out)
        try:
            self.folder(out).mkdir(parents=True, exist_ok=True)
            write_text_atomically(self.folder(out) / PARAMETERS_FILE, self._parameters)
        except OSError as error:
            raise UserError(
                f"cannot write {self.folder(out)} ({error.strerror}): choose another --out"
            ) from error

    @cached_property
    def _parameters(self) -> str:
        words = iter(self.options)
        configs = []
        for word in words:
            name, equals, value = word.partition("=")
            if name in ("--config", "-c"):
                configs.append(read_config(find_config(value if equals else next(words, ""))))
        content = {"module": self.module, "options": self.options, "configs": configs}
        return json.dumps(content, indent=2, sort_keys=True, default=str) + "\n"

    def _check_parameters(self, out: Path) -> None:
        path = self.folder(out) / PARAMETERS_FILE
        if path.is_file() and path.read_text(encoding="utf-8") != self._parameters:
            raise UserError(
                f"{self.folder(out)} holds runs with other settings than {self.name} has now: "
                "choose another --out, or remove that folder"
            )
