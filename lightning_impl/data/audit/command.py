"""`python -m lightning_impl.data audit FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lightning_impl.data.audit.folder import audit_folder
from lightning_impl.data.audit.report import report_json, report_lines
from parity_common.command_errors import EXIT_FAILED, UserError
from parity_common.progress import track
from parity_common.run_folder import write_text_atomically


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.epilog = "Exit code: 0 without errors, 1 with errors, 2 for bad input."
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of class folders; only read")
    parser.add_argument(
        "--validation-split", type=float, default=0.2, metavar="S", help="as data.validation_split; 0.2"
    )
    parser.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        default=(64, 64),
        metavar=("H", "W"),
        help="as data.image_size; 64 64",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there as JSON")
    parser.add_argument("--all", action="store_true", help="list every path, not 5 of each kind")


def run(arguments: argparse.Namespace, settings: list[str]) -> int:
    """Audits, prints and writes.

    Returns:
        The exit code: 1 if there are errors.

    Raises:
        UserError: A value out of range, no such folder, or the JSON cannot be written.
    """
    if settings:
        raise UserError(f"unrecognized arguments: {' '.join(settings)}; --help lists the arguments")
    if not 0 < arguments.validation_split < 1:
        raise UserError(f"--validation-split is {arguments.validation_split}: give a share between 0 and 1")
    if min(arguments.image_size) < 1:
        raise UserError(f"--image-size is {arguments.image_size}: give height and width in pixels")
    if arguments.json is not None and not arguments.json.absolute().parent.is_dir():
        # Before the work, not after it.
        raise UserError(f"cannot write {arguments.json}: no such folder {arguments.json.parent}")
    height, width = arguments.image_size
    audit = audit_folder(
        arguments.folder.expanduser(), arguments.validation_split, (height, width), track("checking")
    )
    for line in report_lines(audit, arguments.all):
        print(line)
    if arguments.json is not None:
        try:
            write_text_atomically(arguments.json, report_json(audit))
        except OSError as error:
            raise UserError(f"cannot write {arguments.json}: {error.strerror}") from error
    return EXIT_FAILED if audit.totals()["error"] else 0
