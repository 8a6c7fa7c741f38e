"""`python -m lightning_impl`: the package is no command, and says which there are."""

from __future__ import annotations

from parity_common.command_errors import UserError, run_command

COMMANDS = ("fit", "test", "predict", "export", "report", "preview", "study", "data audit")


def main() -> None:
    commands = ", ".join(f"lightning_impl.{name}" for name in COMMANDS)
    raise UserError(f"lightning_impl is no command: python -m one of {commands}; each takes --help")


if __name__ == "__main__":
    run_command(main)
