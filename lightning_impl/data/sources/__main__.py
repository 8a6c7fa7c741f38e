"""Prepares a set: `python -m lightning_impl.data.sources food101`. The Keras side runs it as a child."""

from __future__ import annotations

from lightning_impl.data.sources.prepare import prepare_source
from parity_common.cache_folder import cache_root
from parity_common.command_errors import UserError, run_command
from parity_common.data_sources import FOLDER_OF_SOURCE, check_source
from parity_common.one_line_parser import OneLineParser


def main() -> None:
    """Parses the command line and prepares; a set that is there already is left as it is."""
    parser = OneLineParser(
        prog="python -m lightning_impl.data.sources",
        description="Downloads an image set through torchvision and lays it out as class folders.",
    )
    parser.add_argument("name", metavar="NAME", help=", ".join(FOLDER_OF_SOURCE))
    parser.add_argument("--cache-dir", metavar="FOLDER", help="as data.cache_dir; the user's cache folder")
    arguments = parser.parse_args()
    check_source(arguments.name)
    if arguments.name not in FOLDER_OF_SOURCE:
        raise UserError("the stand-in is drawn, by python -m lightning_impl.data.stand_in")
    print(prepare_source(arguments.name, cache_root(arguments.cache_dir)))


if __name__ == "__main__":
    run_command(main)
