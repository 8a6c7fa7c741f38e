"""Commands on image folders: `python -m lightning_impl.data audit FOLDER`."""

from __future__ import annotations

import sys
from importlib import import_module

from parity_common.command_errors import run_command
from parity_common.one_line_parser import OneLineParser

# By name: the module, which has `add_arguments(parser)` and `run(arguments, settings) -> int`, and a line for
# --help. `settings` are the words that its parser does not know: a fit's, for commands that read a config.
# Modules are imported when asked for: some of them take seconds.
COMMANDS = {
    "audit": ("lightning_impl.data.audit", "list what is wrong in a folder of class folders"),
    "expand": ("lightning_impl.data.expand", "write a config's training images, augmented, into a folder"),
}


def main(words: list[str] | None = None) -> int:
    """Runs one command and gives its exit code."""
    words = sys.argv[1:] if words is None else words
    parser = OneLineParser(prog="python -m lightning_impl.data", description="Commands on image folders.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    for name, (module, line) in COMMANDS.items():
        # Unabbreviated: the fit's own options go through.
        command = commands.add_parser(
            name, help=line, description=f"{line[0].upper()}{line[1:]}.", allow_abbrev=False
        )
        if words[:1] == [name]:
            import_module(module).add_arguments(command)
    arguments, settings = parser.parse_known_args(words)
    return import_module(COMMANDS[arguments.command][0]).run(arguments, settings)


if __name__ == "__main__":
    run_command(main)
