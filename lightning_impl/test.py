"""Tests a trained classifier: `python -m lightning_impl.test RUN_OR_CHECKPOINT [--data.root FOLDER]`.

Without --data.root, on the validation part of the run's own data; else on a folder of class folders, which
may lack classes. Images that the run was trained on are known by their pixels, whatever they are called and
wherever they lie, and left out. Leaves accuracy, top-5, loss, the confusion matrix and each class's
precision, recall and F1.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parity_common.command_errors import UserError, run_command
from parity_common.home_path import home_path
from parity_common.one_line_parser import OneLineParser

if TYPE_CHECKING:
    from torch import Tensor

    from lightning_impl.data.datamodule import ImageData
    from lightning_impl.figures import Figures
    from lightning_impl.trained import Trained

    Batches = Iterator[tuple[Tensor, Tensor]]

CLASSES_NAMED = 10


@dataclass(frozen=True)
class Tested:
    """What was tested.

    Attributes:
        what: In words.
        missing: Classes of the training that have no image there.
        batches: Images and labels, on the device.
        left_out: Files that were trained on, so far as the batches have been taken.
    """

    what: str
    missing: list[str]
    batches: Batches
    left_out: list[Path] = field(default_factory=list)


def main() -> None:
    parser = OneLineParser(prog="python -m lightning_impl.test", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("checkpoint", type=home_path, help="a run folder (its best.ckpt) or a .ckpt file")
    parser.add_argument("--data.root", type=home_path, metavar="FOLDER", help="a folder of class folders")
    parser.add_argument(
        "--data.cache_dir", metavar="FOLDER", help="where decoded images lie (as the run had it)"
    )
    parser.add_argument(
        "--out", type=home_path, default=Path("test.json"), help=".json, or .csv: classes alone (test.json)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda … (auto)")
    arguments = vars(parser.parse_args())

    from lightning_impl.checkpoint_file import find_checkpoint
    from lightning_impl.output_file import check_output
    from parity_common.class_folders import folder_names

    check_output(arguments["out"])
    checkpoint = find_checkpoint(arguments["checkpoint"])
    root = arguments["data.root"]
    if root is not None:
        folder_names(root)
    test(checkpoint, root, arguments["data.cache_dir"], arguments["out"], arguments["device"])


def test(checkpoint: Path, root: Path | None, cache_dir: str | None, out: Path, device: str) -> None:
    """Writes the figures and prints the closing line.

    Args:
        checkpoint: Of a fit.
        root: A folder of class folders; None: the run's own data.
        cache_dir: Where decoded images and drawn sets lie; None: as the run had it.
        out: The file to write.
        device: As `choose_device` takes it.

    Raises:
        UserError: No usable checkpoint, folder or image.
    """
    from lightning_impl.checkpoint_file import run_of
    from lightning_impl.cpu_sharing import share_processors
    from lightning_impl.figures import figures_of
    from lightning_impl.output_file import write_output
    from lightning_impl.trained import choose_device, open_classifier

    share_processors()
    trained = open_classifier(checkpoint, choose_device(device))
    run = run_of(checkpoint)
    changed = {} if cache_dir is None else {"cache_dir": cache_dir}
    tested = _choose(trained, checkpoint, run, root, changed)
    if tested.missing:
        named = ", ".join(tested.missing[:CLASSES_NAMED])
        more = (
            f" and {len(tested.missing) - CLASSES_NAMED} more" if len(tested.missing) > CLASSES_NAMED else ""
        )
        print(f"no image of {len(tested.missing)} classes of the training: {named}{more}", file=sys.stderr)
    figures = figures_of(trained.classifier, tested.batches)
    what = tested.what
    if tested.left_out:
        what += f" but the {len(tested.left_out)} that were trained on, such as {tested.left_out[0]}"
    write_output(out, lambda temporary: _write(temporary, out.suffix, checkpoint, trained, tested, figures))
    top = "" if figures.top_5_accuracy is None else f", top-5 {figures.top_5_accuracy:.1%}"
    print(
        f"accuracy {figures.accuracy:.1%}{top}, loss {figures.loss:.4f} on {figures.counts.sum()} images of "
        f"{len(trained.classifier.class_names) - len(tested.missing)} classes ({what}); "
        f"each class: {out}"
    )


def _choose(trained: Trained, checkpoint: Path, run: Path | None, root: Path | None, changed: dict) -> Tested:
    from lightning_impl.run_data import data_of_run

    if root is None:
        if run is None:
            raise UserError(
                f"{checkpoint} lies in no run folder, whose data is known: give --data.root FOLDER"
            )
        return _validation_part(trained, data_of_run(run, **changed))
    if run is not None:
        data = data_of_run(run, **changed, root=str(root))
        if _was_trained_on(trained, data) and _has_the_pixels(trained, data):
            return _validation_part(trained, data)
    return _folder(trained, root)


def _was_trained_on(trained: Trained, data: ImageData) -> bool:
    """Whether these are the images of the training, by the names of its part."""
    try:
        return data.image_set.index.training_digest() == trained.training_digest
    except UserError:
        # A folder that cannot be split at all was not trained on.
        return False


def _has_the_pixels(trained: Trained, data: ImageData) -> bool:
    """Whether the training part's images are the training's: other sets have the same names, too."""
    data.prepare_data()
    digests = data.image_set.digests(validation=False).tolist()
    return trained.trained_on is None or trained.trained_on.issuperset(digests)


def _validation_part(trained: Trained, data: ImageData) -> Tested:
    folder = data.image_set.folder
    data.prepare_data()
    if trained.training_digest is not None and not _was_trained_on(trained, data):
        raise UserError(
            f"the files of {folder} are no longer those of the training, and its validation part may hold "
            f"images that were trained on: --data.root {folder} tests those that were not"
        )
    data.setup("test")
    if trained.trained_on is not None:
        digests = data.image_set.digests(validation=True).tolist()
        if alike := sum(digest in trained.trained_on for digest in digests):
            line = f"{alike} of the {len(digests)} validation images are, pixel for pixel, training images"
            print(line, file=sys.stderr)
    return Tested(
        f"the validation part of {folder}", [], data.validation_in_one_process(trained.classifier.device)
    )


def _folder(trained: Trained, root: Path) -> Tested:
    from lightning_impl.data.files import labelled_images

    files, labels, missing = labelled_images(root, trained.classifier.class_names)
    if trained.trained_on is None:
        line = "the checkpoint does not say which images it was trained on: some may be among these"
        print(line, file=sys.stderr)
    left_out: list[Path] = []
    batches = _batches(trained, files, labels, left_out)
    return Tested(f"every image of {root}", missing, batches, left_out)


def _batches(trained: Trained, files: list[Path], labels: list[int], left_out: list[Path]) -> Batches:
    import numpy as np
    import torch

    from lightning_impl.data.cache import pixel_digest
    from lightning_impl.data.files import read_batches

    device = trained.classifier.device
    start = 0
    for batch in read_batches(files, trained.hyperparameters["image_size"], "testing"):
        pixels, numbers = [], []
        for image, label in zip(batch, labels[start : start + len(batch)], strict=True):
            if image.pixels is None:
                raise UserError(image.reason)
            if trained.trained_on is not None and pixel_digest(image.pixels) in trained.trained_on:
                left_out.append(image.path)
                continue
            pixels.append(image.pixels)
            numbers.append(label)
        start += len(batch)
        if pixels:
            yield torch.from_numpy(np.stack(pixels)).to(device), torch.tensor(numbers).to(device)
    if len(left_out) == len(files):
        raise UserError(
            f"the net was trained on all of the {len(files)} images, such as {files[0]}: give others to test "
            "it with, or no --data.root for the validation part of its run"
        )


def _write(
    path: Path, suffix: str, checkpoint: Path, trained: Trained, tested: Tested, figures: Figures
) -> None:
    from lightning_impl.report.per_class import per_class_table

    names = trained.classifier.class_names
    scores = per_class_table(figures.counts)
    if suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["class", "precision", "recall", "f1", "images"])
            writer.writerows([name, *score] for name, score in zip(names, scores, strict=True))
        return
    content = {
        "checkpoint": str(checkpoint),
        "epoch": trained.epochs,
        "tested": tested.what,
        "images": int(figures.counts.sum()),
        "accuracy": figures.accuracy,
        "top_5_accuracy": figures.top_5_accuracy,
        "loss": figures.loss,
        "left_out_as_trained_on": [str(path) for path in tested.left_out],
        "classes_without_images": tested.missing,
        "classes": [
            {"class": name, "precision": s.precision, "recall": s.recall, "f1": s.f1, "images": s.support}
            for name, s in zip(names, scores, strict=True)
        ],
        "confusion": figures.counts.tolist(),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
