"""Says what is on images: `python -m lightning_impl.predict RUN_OR_CHECKPOINT INPUT…`.

Class names, image size and preprocessing are the checkpoint's own.

Exit code 0: all were predicted; 1: some could not be read, the others were predicted; 2: bad input, and
nothing is written.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from parity_common.command_errors import EXIT_FAILED, UserError, run_command
from parity_common.home_path import home_path
from parity_common.one_line_parser import OneLineParser

if TYPE_CHECKING:
    from lightning_impl.data.files import ReadImage
    from lightning_impl.module import Classifier
    from lightning_impl.prediction_file import ImagePrediction

# So many are shown on the terminal; the file has them all.
SHOWN = 10


def main() -> int:
    parser = OneLineParser(prog="python -m lightning_impl.predict", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("checkpoint", type=home_path, help="a run folder (its best.ckpt) or a .ckpt file")
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="image files, folders, globs in quotes")
    parser.add_argument("--top-k", type=int, default=5, help="likeliest classes for each image (5)")
    parser.add_argument(
        "--out", type=home_path, default=Path("predictions.csv"), help=".csv or .json (predictions.csv)"
    )
    parser.add_argument(
        "--on-bad-image", choices=("skip", "error"), default="skip", help="one that does not decode (skip)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda … (auto)")
    arguments = parser.parse_args()
    if arguments.top_k < 1:
        raise UserError(f"--top-k is {arguments.top_k}: give 1 or more")

    from lightning_impl.checkpoint_file import find_checkpoint
    from lightning_impl.data.files import find_images
    from lightning_impl.output_file import check_output

    check_output(arguments.out)
    checkpoint = find_checkpoint(arguments.checkpoint)
    paths = find_images(arguments.inputs)
    return predict(
        checkpoint, paths, arguments.out, arguments.top_k, arguments.on_bad_image == "skip", arguments.device
    )


def predict(checkpoint: Path, paths: list[Path], out: Path, top_k: int, skips: bool, device: str) -> int:
    """Writes the predictions, prints the first ones and gives the exit code.

    Args:
        checkpoint: Of a fit.
        paths: Image files.
        out: The file to write.
        top_k: Classes an image; all, where there are fewer.
        skips: Whether a file that cannot be read is named and left out; else it ends the work.
        device: As `choose_device` takes it.

    Raises:
        UserError: No usable checkpoint or image, or one that cannot be read and is not skipped.
    """
    from lightning_impl.cpu_sharing import share_processors
    from lightning_impl.data.files import read_batches
    from lightning_impl.output_file import write_output
    from lightning_impl.prediction_file import printable, write_predictions
    from lightning_impl.trained import choose_device, open_classifier

    share_processors()
    trained = open_classifier(checkpoint, choose_device(device))
    classes = trained.classifier.class_names
    top_k = min(top_k, len(classes))
    image_size = trained.hyperparameters["image_size"]
    shown: list[ImagePrediction] = []
    unread: list[str] = []

    def predictions() -> Iterator[ImagePrediction]:
        for batch in read_batches(paths, image_size, "predicting"):
            for prediction in predict_batch(trained.classifier, batch, top_k):
                if prediction.error:
                    if not skips:
                        raise UserError(f"{prediction.error}; or give --on-bad-image skip")
                    unread.append(prediction.error)
                elif len(shown) < SHOWN:
                    shown.append(prediction)
                yield prediction
        if len(unread) == len(paths):
            raise UserError(
                f"none of {len(paths)} images can be read: {unread[0]}" if len(paths) > 1 else unread[0]
            )

    write_output(out, lambda temporary: write_predictions(temporary, out.suffix, predictions(), top_k))
    for prediction in shown:
        likely = "  ".join(f"{printable(name)} {probability:.1%}" for name, probability in prediction.best)
        print(f"{printable(prediction.file)}: {likely}")
    for reason in unread[:SHOWN]:
        print(printable(reason), file=sys.stderr)
    if len(unread) > SHOWN:
        print(f"… and {len(unread) - SHOWN} more, all in {out}", file=sys.stderr)
    skipped = f", {len(unread)} could not be read" if unread else ""
    print(f"images predicted: {len(paths) - len(unread)}{skipped}; {len(classes)} classes; {out}")
    return EXIT_FAILED if unread else 0


def predict_batch(classifier: Classifier, batch: list[ReadImage], top_k: int) -> list[ImagePrediction]:
    """The likeliest classes of each image; of equal ones the first in label order comes first.

    Args:
        classifier: In evaluation mode.
        batch: Images of the classifier's size; those without pixels get their reason.
        top_k: Classes an image.
    """
    import numpy as np
    import torch

    from lightning_impl.prediction_file import ImagePrediction

    pixels = [image.pixels for image in batch if image.pixels is not None]
    ranked: Iterator[tuple[tuple[str, float], ...]] = iter(())
    if pixels:
        with torch.inference_mode():
            images = torch.from_numpy(np.stack(pixels)).to(classifier.device)
            sorted_ = classifier(images).softmax(1).cpu().sort(dim=1, descending=True, stable=True)
        ranked = (
            # The shortest decimal that means the float32.
            tuple((classifier.class_names[n], float(str(p))) for p, n in zip(values, numbers, strict=True))
            for values, numbers in zip(
                sorted_.values[:, :top_k].numpy(), sorted_.indices[:, :top_k].tolist(), strict=True
            )
        )
    return [
        ImagePrediction(str(image.path), next(ranked))
        if image.pixels is not None
        else ImagePrediction(str(image.path), (), image.reason)
        for image in batch
    ]


if __name__ == "__main__":
    run_command(main)
