"""`python -m porting audit TRACE --port package.module:Class`, and `python -m porting record ...`.

A trace of an image folder: `audit TRACE --images FOLDER`, and `record-data ...`. Runs over many seeds:
`equivalence OURS THEIRS`. What a Keras model file holds: `inspect FILE`. A Keras training goes on here:
`carry-over FILE --config NAME --out RUN`. Torch source from a Keras model file: `convert FILE --out FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from rich.table import Table
from rich.text import Text

from lightning_impl.cpu_sharing import share_processors
from parity_common.command_errors import UserError, run_command
from parity_common.whole_tables import whole_console
from porting import equivalence_command, inspect_file
from porting.carry_over import command as carry_over
from porting.case import RUNG_NUMBERS, RungResult
from porting.convert import command as convert
from porting.data_port import DataPort
from porting.data_rung import data
from porting.data_trace import DataTrace
from porting.ladder import climb, rungs_of
from porting.replay import load_port
from porting.trace import Trace
from porting.trace_folder import TraceFolder

EXIT_PARTS = 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see python -m porting --help)")


def audit(arguments: argparse.Namespace) -> int:
    """Climbs the ladder, prints one line a rung, and returns the exit code: 0, or 1 when a rung parts."""
    if (arguments.port is None) == (arguments.images is None):
        raise UserError("give --port MODULE:CLASS for a model's trace, --images FOLDER for an image folder's")
    if arguments.images is not None:
        return _audit_data(arguments)
    trace = Trace(arguments.trace)
    results = climb(trace, load_port(arguments.port))
    subject = f"{arguments.port} against {trace.folder} ({trace.model_name}, {trace.profile}, {trace.dtype})"
    if arguments.json:
        said = {"port": arguments.port, "model": trace.model_name, "dtype": trace.dtype}
        _write_json(arguments.json, trace, said, results)
    _print(subject, results, [rung.__name__ for rung in rungs_of(trace)])
    return 0 if all(result.holds for result in results) else EXIT_PARTS


def _audit_data(arguments: argparse.Namespace) -> int:
    """Rung 8 alone, of a data trace."""
    trace = DataTrace(arguments.trace)
    result = data(trace, DataPort(trace), arguments.images)
    if arguments.json:
        _write_json(arguments.json, trace, {"images": str(arguments.images)}, [result])
    _print(f"{arguments.images} against {trace.folder} ({trace.profile})", [result], ["data"])
    return 0 if result.holds else EXIT_PARTS


def record(arguments: argparse.Namespace) -> int:
    """Runs a recorder as a child process: Keras must not be loaded where torch is."""
    recorder = import_module(f"keras_reference.{arguments.recorder}")
    python = arguments.keras_python or sys.executable
    # The script names itself in the trace's birth certificate, as seen from the working folder.
    script = os.path.relpath(str(recorder.__file__))
    try:
        return subprocess.run([python, script, *arguments.rest], check=False).returncode
    except OSError as error:
        raise UserError(f"--keras-python {python} cannot be run: {error.strerror}") from error


def main(words: list[str] | None = None) -> int:
    """The command. Arguments that `record` does not know go on to the recorder as they are."""
    parser = _Parser(prog="python -m porting", description="Prove that a torch port equals its Keras model.")
    names = "audit|record|record-data|equivalence|inspect|convert|carry-over"
    commands = parser.add_subparsers(dest="command", required=True, metavar=names)
    one = commands.add_parser("audit", help="compare a port with a trace, rung by rung")
    one.add_argument("trace", type=Path, help="the trace folder")
    one.add_argument(
        "--port", metavar="MODULE:CLASS", help="the torch module's class, or a converted model's folder"
    )
    one.add_argument("--images", type=Path, metavar="FOLDER", help="the folder, for an image folder's trace")
    one.add_argument("--json", type=Path, metavar="FILE", help="write every figure there, too")
    one.set_defaults(run=audit)
    for name, subject in (("record", "a Keras model"), ("record-data", "what Keras does with a folder")):
        recorder = name.replace("-", "_")
        # Without abbreviations: the recorder's own --keras must not be taken for --keras-python.
        two = commands.add_parser(
            name,
            help=f"record {subject} (takes all of {recorder}.py's arguments)",
            add_help=False,
            allow_abbrev=False,
        )
        two.add_argument(
            "--keras-python", metavar="PYTHON", help="the interpreter that has the model's Keras"
        )
        two.set_defaults(run=record, recorder=recorder)
    equivalence_command.add_arguments(
        commands.add_parser("equivalence", help="compare two sets of trainings over the same seeds")
    )
    inspect_file.add_arguments(
        commands.add_parser("inspect", help="say what a Keras model file holds; nothing in it is run")
    )
    convert.add_arguments(
        commands.add_parser("convert", help="turn a Keras model file into torch source, and prove it")
    )
    carried = commands.add_parser(
        "carry-over",
        help="go on in Lightning with a training saved by Keras (takes all of the fit's arguments)",
        allow_abbrev=False,
    )
    carry_over.add_arguments(carried)
    arguments, rest = parser.parse_known_args(words)
    if rest and arguments.run not in (record, carry_over.run):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    if arguments.run in (audit, convert.run):
        share_processors()
    return arguments.run(arguments)


def _print(subject: str, results: list[RungResult], rungs: list[str]) -> None:
    table = Table(box=None, header_style="", pad_edge=False)
    for heading in ("rung", "", "compared", "worst residual", "at", "tolerance"):
        table.add_column(heading, no_wrap=True)
    reached = len(results)
    for result in results:
        worst = result.worst
        table.add_row(
            f"{result.number} {result.name}",
            "holds" if result.holds else "PARTS",
            result.compared,
            "" if worst is None else f"{worst.residual:.2g}",
            result.layer,
            f"{worst.tolerance:.2g}" if worst is not None and worst.tolerance else "exact",
        )
    for rung in rungs[reached:]:
        table.add_row(f"{RUNG_NUMBERS[rung]} {rung}", "not reached")
    console = whole_console()
    console.print(Text(subject))
    console.print(table)
    if not results[-1].holds:
        last = results[-1]
        where = f", layer {last.layer}" if last.name != "data" else ""
        console.print(Text(f"The port parts at rung {last.number} {last.name}{where}: {last.fault}"))


def _write_json(path: Path, trace: TraceFolder, said: dict[str, str], results: list[RungResult]) -> None:
    report = {
        "trace": str(trace.folder),
        **said,
        "profile": trace.profile,
        "holds": all(result.holds for result in results),
        "rungs": [
            {"number": result.number} | asdict(result) | {"holds": result.holds, "residual": result.residual}
            for result in results
        ],
        "birth_certificate": trace.metadata.get("birth_certificate"),
    }
    try:
        path.write_text(
            json.dumps(_without_infinity(report), indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
    except OSError as error:
        raise UserError(f"--json {path} cannot be written: {error.strerror}") from error


def _without_infinity(thing: Any) -> Any:
    """JSON has no infinity: an infinite residual (Keras's array is all zeros) becomes the word."""
    if isinstance(thing, dict):
        return {name: _without_infinity(value) for name, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [_without_infinity(value) for value in thing]
    return "infinite" if isinstance(thing, float) and not math.isfinite(thing) else thing


if __name__ == "__main__":
    run_command(main)
