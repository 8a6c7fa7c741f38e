"""Exports a trained classifier: `python -m lightning_impl.export RUN_OR_CHECKPOINT --to FORMAT`.

safetensors: the weights; torch-export: a program that runs without this project; onnx: a graph. Each has its
preprocessing in it and a model card beside it, in a folder of its own, and is held against the checkpoint on
images before the folder is there: the run's validation images, those of --images, or noise without either.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from parity_common.command_errors import run_command
from parity_common.home_path import home_path
from parity_common.one_line_parser import OneLineParser

if TYPE_CHECKING:
    from lightning_impl.formats.check import CheckImages


def main() -> None:
    from lightning_impl.formats import FORMATS, require_packages

    parser = OneLineParser(prog="python -m lightning_impl.export", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("checkpoint", type=home_path, help="a run folder (its best.ckpt) or a .ckpt file")
    parser.add_argument("--to", choices=FORMATS, required=True, help="the format")
    parser.add_argument("--out", type=home_path, help="the folder to make (exported-FORMAT)")
    parser.add_argument(
        "--images", nargs="+", metavar="INPUT", help="files, folders, globs in quotes to check with"
    )
    arguments = parser.parse_args()

    from lightning_impl.checkpoint_file import find_checkpoint
    from lightning_impl.data.files import find_images
    from lightning_impl.output_file import check_new_folder

    out = arguments.out or Path(f"exported-{arguments.to}")
    require_packages(arguments.to)
    check_new_folder(out)
    checkpoint = find_checkpoint(arguments.checkpoint)
    export(checkpoint, arguments.to, out, find_images(arguments.images) if arguments.images else None)


def export(checkpoint: Path, format_name: str, out: Path, paths: list[Path] | None) -> None:
    """Makes the folder and prints the closing line.

    Args:
        checkpoint: Of a fit.
        format_name: A key of `FORMATS`.
        out: The folder, which does not exist.
        paths: Image files to check with; None: the run's own.

    Raises:
        UserError: No usable checkpoint or image, or the folder cannot be written.
        Stopped: The file is not equal to the checkpoint.
    """
    import torch

    from lightning_impl.checkpoint_file import run_of
    from lightning_impl.formats import FORMATS
    from lightning_impl.formats.check import check
    from lightning_impl.formats.deployed import Deployed, describe
    from lightning_impl.formats.model_card import model_card
    from lightning_impl.output_file import new_folder
    from lightning_impl.trained import open_classifier

    trained = open_classifier(checkpoint, torch.device("cpu"))
    deployed = Deployed(trained.classifier).eval()
    run = run_of(checkpoint)
    images = _check_images(run, paths, trained.hyperparameters["image_size"])
    metadata = describe(trained, checkpoint)
    form = FORMATS[format_name]
    module = form.load()
    with new_folder(out) as folder:
        file = folder / form.file
        module.write(deployed, metadata, file)
        difference = check(module.open_file(file), deployed, images)
        equal = f"within {difference:.1e} in probability" if difference else "bit for bit"
        checked = f"equal to the checkpoint {equal} on {images.what}"
        size = sum(part.stat().st_size for part in folder.iterdir())
        card = model_card(trained, metadata, format_name, run, f"The file is {checked}.")
        (folder / "README.md").write_text(card, encoding="utf-8")
        if run is not None:
            shutil.copyfile(run / "config.yaml", folder / "config.yaml")
    print(f"{out / form.file}: {size / 1e6:.1f} MB, {checked}")


def _check_images(run: Path | None, paths: list[Path] | None, image_size: tuple[int, int]) -> CheckImages:
    from lightning_impl.formats.check import images_of_run, random_images, read_images
    from lightning_impl.run_data import data_of_run

    if paths is not None:
        return read_images(paths, image_size, "images given")
    found = None if run is None else images_of_run(data_of_run(run))
    return found or random_images(image_size)


if __name__ == "__main__":
    run_command(main)
