"""The progress bar counts as the closing line does, and shows the epoch under way."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest
import torch
from lightning import Trainer

from lightning_impl.cli import quieten
from lightning_impl.compiled import CompiledModule
from lightning_impl.keras_semantics.losses import CategoricalCrossentropy
from lightning_impl.progress_bar import EpochBar, running_means
from parity_tests.entry_point import draw_pictures

# Of no information to a reader: colours and cursor moves.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(words: list[str], cwd: Path) -> str:
    """What a command shows where standard output and error are a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.environ.update(COLUMNS="150", TERM="xterm")
        os.execv(sys.executable, [sys.executable, *words])
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            # Linux's way to say that the other end has closed.
            break
        if not piece:
            break
        shown += piece
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown.decode()
    return ESCAPES.sub("", shown.decode(errors="replace"))


@pytest.mark.process
def test_bar_counts_from_one_and_shows_the_running_loss(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pictures = draw_pictures(tmp_path / "images")
    data = ["--data.root", str(pictures), "--data.image_size", "[16,16]", "--data.batch_size", "3"]
    more = ["--data.expand", "null", "--data.cache_dir", "cache", "--trainer.max_epochs", "2"]
    shown = on_a_terminal(["-m", "lightning_impl.fit", "--config", "v3", *data, *more], tmp_path)
    assert set(re.findall(r"Epoch (\d+/\d+)", shown)) == {"1/2", "2/2"}
    # Before the first epoch has ended there is nothing else to show of it.
    first = shown[: shown.index("Epoch 2/2")]
    under_way = re.findall(r"Epoch 1/2 .*? (\d+)/10 .*?loss: ([\d.]+)", first, re.DOTALL)
    assert any(int(step) < 10 for step, _ in under_way), first


class Means(torch.nn.Module):
    """Logits that are the inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.scale


class Seen(EpochBar):
    """Keeps what it would show at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.seen.append(running_means(trainer))


def test_running_means_are_those_of_the_images_so_far() -> None:
    inputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    module = CompiledModule(
        Means(), CategoricalCrossentropy(), lambda parameters: torch.optim.SGD(parameters, 0.0)
    )
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, labels), batch_size=3)
    bar = Seen()
    quieten()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, callbacks=[bar], accelerator="cpu", **quiet)
    trainer.fit(module, batches, batches)
    single = torch.nn.functional.cross_entropy(inputs, labels, reduction="none")
    right = (inputs.argmax(1) == labels).double()
    for seen, images in zip(bar.seen, (3, 6, 7), strict=True):
        assert seen["loss"] == pytest.approx(float(single[:images].mean()), rel=1e-5)
        assert seen["accuracy"] == pytest.approx(float(right[:images].mean()), rel=1e-5)
