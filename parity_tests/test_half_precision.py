"""Figures of a net in half precision are single precision: 8 of 12 right are two thirds, and not 66.8%."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lightning_impl.compiled import CompiledModule
from lightning_impl.keras_semantics.losses import CategoricalCrossentropy
from lightning_impl.keras_semantics.profile import KERAS3
from lightning_impl.keras_semantics.regularizers import l1_l2
from parity_common.predictions import read_predictions
from parity_common.run_folder import RunFolder
from parity_tests.entry_point import fit, run

PRECISIONS = ("bf16-mixed", "bf16-true", "16-true")
DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_loss_and_accuracy_are_exact(dtype: torch.dtype) -> None:
    logits = torch.linspace(-3, 3, 36).reshape(12, 3).sin().mul(4).to(dtype)
    labels = logits.argmax(1)
    labels[8:] = (labels[8:] + 1) % 3
    module = CompiledModule(nn.Identity(), CategoricalCrossentropy(), torch.optim.SGD, {0: 0.3, 2: 0.7})
    loss, accuracy = module.loss_and_accuracy((logits, labels))
    wanted = nn.functional.cross_entropy(logits.double(), labels)
    assert accuracy.dtype == loss.dtype == torch.promote_types(dtype, torch.float32)
    assert float(accuracy) == pytest.approx(8 / 12, abs=1e-7)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-6)
    weighted, _ = module.loss_and_accuracy((logits, labels), module.class_weight)
    weights = torch.tensor([0.3, 1, 0.7], dtype=torch.float64)[labels]
    each = nn.functional.cross_entropy(logits.double(), labels, reduction="none")
    assert float(weighted) == pytest.approx(float((each * weights).mean()), rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_penalty_is_exact(dtype: torch.dtype) -> None:
    weight = torch.linspace(-1, 1, 301).to(dtype)
    wanted = 0.1 * weight.double().abs().sum() + 0.3 * weight.double().square().sum()
    assert float(l1_l2(KERAS3, 0.1, 0.3)(weight)) == pytest.approx(float(wanted), rel=1e-6)


def draw(root: Path) -> Path:
    """Three classes of twenty: 12 images validate, which is no power of two."""
    for label, name in enumerate("abc"):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.random.RandomState(100 * label + number).randint(0, 120, (20, 20, 3)) + 40 * label
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number:02}.png")
    return root


@pytest.mark.process
@pytest.mark.parametrize(
    "precision", [PRECISIONS[1], *(pytest.param(each, marks=pytest.mark.full) for each in PRECISIONS[::2])]
)
def test_fit_in_half_precision_ends_with_exact_figures(precision: str, tmp_path: Path) -> None:
    root = draw(tmp_path / "images")
    data = ("--data.root", root, "--data.image_size", "[16,16]", "--data.cache_dir", "cache")
    words = ("-c", "v1", *data, "--trainer.max_epochs", 2, "--trainer.precision", precision)
    fit(*words, cwd=tmp_path)
    (folder,) = (tmp_path / "runs" / "v1").iterdir()
    rows = RunFolder(folder).read_metrics()
    for row in rows:
        for name, images in (("accuracy", 48), ("val_accuracy", 12)):
            assert row[name] * images == pytest.approx(round(row[name] * images), abs=1e-4), (name, row[name])
        # Not rounded to bfloat16's 8 bits, which one loss may be by chance.
    assert any(np.float32(row["val_loss"]).view(np.uint32) & 0xFFFF for row in rows)
    result = json.loads((folder / "result.json").read_text())
    assert result["best_val_accuracy"] == max(row["val_accuracy"] for row in rows)
    run("test", folder, cwd=tmp_path)
    tested = json.loads((tmp_path / "test.json").read_text())
    predicted = read_predictions(folder / "predictions.csv")
    assert tested["accuracy"] == sum(each.true == each.predicted for each in predicted) / 12
    run("predict", folder, root / "a" / "00.png", cwd=tmp_path)
    probability = float((tmp_path / "predictions.csv").read_text().splitlines()[1].split(",")[2])
    assert probability == pytest.approx(predicted[0].probability, abs=1e-6)
