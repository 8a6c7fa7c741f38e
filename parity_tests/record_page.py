"""docs/record.md: the log's statements, our reconstruction, and the committed trainings beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parity_tests.accuracy_page import Trainings, final_interval
from parity_tests.bands import KERAS, LIGHTNING, NETS

HEAD = """\
# The record

Written by `pytest parity_tests/test_record_page.py --write-pages` from `accuracy.json` and `photographs.json`.

A training log of 2021 (Keras in TensorFlow 2.4.0, Python 3.8) improved a classifier of 30 classes with
1,000 images each, all 580 × 420 pixels, step by step. Its pictures are lost; these are its statements.

| version | accuracy | what the log says |
|---|---|---|
| v1 | 23.5% | a basic CNN, 128 × 128 input, no augmentation; too few images a label, too shallow, a large validation loss |
| v2 | 55.1% | Adam, augmentation to about 6,000 images a class, more layers and a larger dense layer, 64 × 64 |
| v3 | 62.9% | Nadam, BatchNormalization before dropout, He initialisation, fewer parameters than v2 |
| final | 93.88% | after v2: the intention to use a widely known architecture |

Between v1 and v2 it tells of five experiments on 6 classes.

## What is reconstruction

The layers in `lightning_impl/models/` and `keras_reference/models/` are ours, made to agree with every
sentence above. They were not in the log.

| | input | layers | parameters |
|---|---|---|---|
| v1 | 128 × 128 × 3 | conv 32 3×3 valid relu, pool 2; conv 64 3×3 valid relu, pool 2; flatten; dense 64 relu; dense 30 | 3,707,806 |
| v2 | 64 × 64 × 3 | four stages conv 3×3 same relu, pool 2, dropout .25, with 32, 64, 128, 128 filters; flatten; dense 512 relu; dropout .5; dense 30 | 1,305,310 |
| v3 | 64 × 64 × 3 | four stages conv 3×3 same, BN, relu, pool 2, dropout .25, with 32, 64, 128, 128 filters; flatten; dense 256, BN, relu, dropout .5; dense 30; He normal on every relu layer | 775,518, of which 1,216 not trainable |

Softmax output, categorical crossentropy, batches of 32, pixel values times 1/255. The log's augmentation is
told in one number, about 6,000 images a class from 1,000; its ranges are ours (`configs/v2.yaml`), and v3
keeps them. Rates, epochs and seeds of the log are not known.

## Where the log contradicts itself

The heading of v1 names Adam; later lines say that the optimizer was changed from RMSprop to Adam. Here `v1`
is Adam, and the config `v1-rmsprop` is the other reading.
"""

STAND_IN = """\
## On the stand-in

Neither the log's images nor a set like them come with this project. The stand-in's classes are drawn. These
are means over {seeds} seeds or more of each framework and their 95% intervals, on {training} training and
{validation} validation images of {classes_count} classes (chance {chance:.1%}), {epochs} epochs, v1 at 64 ×
64 pixels, v2 and v3 at 32 × 32; final accuracy is the mean of the last three epochs'.

| | the log, 30 classes | Keras, stand-in | Lightning, stand-in |
|---|---|---|---|
"""

REASONS = """\
The log's reasons are seen in the curves. v1 learns its few images by heart: its training loss goes to
nothing while the validation loss climbs, the log's "large validation loss". Augmented, v2 and v3 do not; v2
begins with epochs in which nothing is learned, which BatchNormalization and He's start take from v3.
"""

TAIL = """\
## What must not be concluded

- That 23.5, 55.1, 62.9 or 93.88% can be had here: those images are lost, and the stand-in's accuracies are
  its own. What can be compared is the order, and one framework with the other.
- That the log is reproduced. It is one training of each version; what agrees with it is consistent with it,
  no more.
- That the two frameworks are equivalent because these means are near: [accuracy.md](accuracy.md) has the
  tests, their margins and their power, and what they cannot see.
- Anything of the log's final model: its architecture and weights are not known. The backbone of final-lite has
  learnt from ImageNet's photographs, kinds of things that Caltech-101 shows, too; and one set of photographs is
  not the log's.
"""

LOG = {"v1": "23.5%", "v2": "55.1%", "v3": "62.9%"}


def page(kept: Mapping[str, Any], trainings: Trainings, on_photographs: str) -> str:
    """The whole page.

    Args:
        kept: docs/accuracy.json.
        trainings: What it holds, by net and side.
        on_photographs: The section on photographs.
    """
    size = kept["size"]
    classes = len(size["classes"].split(", "))
    said = dict(size, seeds=len(trainings["v3"][KERAS.name]), classes_count=classes, chance=1 / classes)
    lines = [HEAD, STAND_IN.format(**said).rstrip("\n")]
    for net in NETS:
        cells = []
        for side in (KERAS, LIGHTNING):
            middle, low, high = final_interval(trainings[net][side.name])
            cells.append(f"{middle:.1%} ({low:.1%} to {high:.1%})")
        lines.append(f"| {net} | {LOG[net]} | {' | '.join(cells)} |")
    lines.append("")
    lines += [f"![{net}, curves of both frameworks](accuracy_{net}.png)\n" for net in NETS]
    lines += [REASONS, on_photographs, TAIL.rstrip("\n")]
    return "\n".join(lines) + "\n"
