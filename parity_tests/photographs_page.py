"""The section of docs/record.md on photographs: every figure is worked out here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lightning_impl.report.confusion import most_confused
from parity_tests.bands import KERAS, LIGHTNING
from parity_tests.photographs import LOG, NETS, SEEDS, Trainings
from porting.accuracy import Training

HEAD = """\
## On photographs

{classes} classes of Caltech-101, its largest without faces and background, {each} photographs of each:
{training:,} train and {validation} validate (chance {chance:.1%}). The classes stand in
`configs/photographs/images.yaml`, the files and their split by hash in
`parity_tests/photographs_manifest.json`; torchvision downloads the set. Nets, image sizes, augmentation and
optimizers are those of the configs of the same names, {seeds} seeds of each framework. The accuracy is the
best epoch's, as a run's closing line has it: mean, lowest and highest.

| | the log, 30 classes | Keras, photographs | Lightning, photographs |
|---|---|---|---|
"""

MISSING = """{names} not been trained on these photographs yet: nothing is said here of their order.
"""

FINAL = """\
final-lite stands where the log's last line does, on EfficientNet-Lite0 with ImageNet weights that a package
brings; which architecture the log had is not known. Both frameworks train the same split from the same
weights of the backbone, each with its own head, batch order and dropout. {confused}

![final-lite on photographs, curves of both frameworks](photographs_final-lite.png)
"""


def best(training: Training) -> float:
    """The highest validation accuracy of an epoch, 0 to 1."""
    return max(training.figures["val_accuracy"])


def section(kept: Mapping[str, Any], trainings: Trainings) -> str:
    """The section.

    Args:
        kept: docs/photographs.json.
        trainings: What it holds, by net and side.
    """
    size = kept["size"]
    lines = [HEAD.format(**size, seeds=len(SEEDS), chance=1 / size["classes"]).rstrip("\n")]
    for net in NETS:
        cells = [
            _range(trainings[net][side.name]) if net in trainings else "not yet"
            for side in (KERAS, LIGHTNING)
        ]
        lines.append(f"| {net} | {LOG[net]} | {' | '.join(cells)} |")
    missing = [net for net in NETS if net not in trainings]
    if missing:
        names = f"{', '.join(missing[:-1])} and {missing[-1]} have" if missing[1:] else f"{missing[0]} has"
        lines += ["", MISSING.format(names=names).rstrip("\n")]
    if "final-lite" in trainings:
        lines += ["", FINAL.format(confused=_confused(kept["confusion"])).rstrip("\n")]
    return "\n".join(lines) + "\n"


def _range(trainings: Sequence[Training]) -> str:
    found = [best(each) for each in trainings]
    return f"{np.mean(found):.2%} ({min(found):.2%} to {max(found):.2%})"


def _confused(confusion: Mapping[str, Any]) -> str:
    """What the trainings of both sides together take for what."""
    counts = np.array(confusion["counts"])
    pairs = most_confused(confusion["classes"], counts, 3)
    wrong = int(counts.sum() - np.trace(counts))
    said = ", ".join(f"{pair.true} for {pair.predicted} ({pair.images})" for pair in pairs)
    return (
        f"Of {counts.sum():,} judgements of the best epochs, those of all seeds and both sides, {wrong} are "
        f"wrong; most often taken: {said}."
    )
