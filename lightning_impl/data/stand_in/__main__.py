"""Draws the stand-in set: `python -m lightning_impl.data.stand_in --out FOLDER --images-per-class N`."""

from __future__ import annotations

from pathlib import Path

from lightning_impl.data.stand_in.draw_set import draw_set
from lightning_impl.data.stand_in.objects import CLASS_NAMES
from parity_common.command_errors import UserError, run_command
from parity_common.one_line_parser import OneLineParser


def main() -> None:
    """Parses the command line and draws."""
    parser = OneLineParser(
        prog="python -m lightning_impl.data.stand_in",
        description="Draws the stand-in set: 30 classes of 580 × 420 JPEGs. A stopped run goes on.",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="folder of class folders to write"
    )
    parser.add_argument("--images-per-class", required=True, type=int, metavar="N", help="1 to 9999")
    parser.add_argument("--seed", type=int, default=2021, help="default 2021")
    parser.add_argument("--workers", default="auto", metavar="W", help="drawing processes; default auto")
    arguments = parser.parse_args()
    workers = None if arguments.workers == "auto" else _whole_number(arguments.workers)
    draw_set(arguments.out, arguments.images_per_class, arguments.seed, workers)
    total = arguments.images_per_class * len(CLASS_NAMES)
    print(f"{arguments.out}: {total} images, {len(CLASS_NAMES)} classes of {arguments.images_per_class}")


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f'--workers must be a number or auto, not "{text}"') from None


if __name__ == "__main__":
    run_command(main)
