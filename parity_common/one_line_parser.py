"""argparse with errors of one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from parity_common.command_errors import UserError


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; --help lists the arguments")
