"""`use_ema` in a fit: the averages are its weights in the end, as Keras's fit() leaves them.

The ladder holds a whole training against Keras's own (case small_ema, D53).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_impl.compiled import CompiledModule
from lightning_impl.keras_semantics.callbacks import KerasEarlyStopping
from lightning_impl.keras_semantics.losses import CategoricalCrossentropy
from lightning_impl.keras_semantics.optimizers import build_optimizer
from lightning_impl.keras_semantics.profile import KERAS3
from lightning_impl.module import WEIGHTS_BEFORE_AVERAGING
from parity_tests.entry_point import draw_pictures, fit

AVERAGED = ("--model.profile", "keras3", "--model.optimizer_arguments", "{use_ema: true, ema_momentum: 0.5}")


def trained(callbacks: list[Callback], **arguments: object) -> tuple[nn.Linear, list[Tensor], list[Tensor]]:
    """A net after three epochs, its kernel after each, and the averages after each, worked out here."""
    torch.manual_seed(3)
    net = nn.Linear(4, 3)
    data = DataLoader(TensorDataset(torch.rand(12, 4), torch.arange(12) % 3), batch_size=4)
    after: list[Tensor] = []
    averages: list[Tensor] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *rest: object) -> None:
            average = (
                averages[-1] * 0.5 + net.weight.detach() * 0.5 if averages else net.weight.detach().clone()
            )
            averages.append(average)

        def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
            after.append(net.weight.detach().clone())

    module = CompiledModule(
        net,
        CategoricalCrossentropy(),
        lambda parameters: build_optimizer("sgd", KERAS3, parameters, 0.5, **arguments),
    )
    trainer = Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Watch(), *callbacks],
    )
    trainer.fit(module, data, data)
    return net, after, averages


EMA = {"use_ema": True, "ema_momentum": 0.5}
pytestmark = pytest.mark.filterwarnings("ignore")


def test_weights_are_the_averages_in_the_end_alone() -> None:
    net, after, averages = trained([], **EMA)
    assert torch.allclose(net.weight, averages[-1], atol=1e-6)
    assert not torch.allclose(net.weight, after[-1], atol=1e-3)
    # The last epoch was validated with the weights themselves.
    without, plain, _ = trained([])
    assert torch.equal(after[-1], plain[-1])
    assert torch.equal(without.weight, plain[-1])


def test_best_weights_that_are_restored_replace_the_averages() -> None:
    """Keras's callbacks have their on_train_end after it."""
    net, after, _ = trained([KerasEarlyStopping(KERAS3, restore_best_weights=True, mode="min")], **EMA)
    assert any(torch.equal(net.weight, each) for each in after)


@pytest.mark.process
def test_last_checkpoint_holds_the_averages_and_the_run_goes_on_without_them(tmp_path: Path) -> None:
    root = draw_pictures_in(tmp_path / "images")

    def words(name: str, epochs: int) -> list[object]:
        data = ("--data.root", root, "--data.image_size", "[16,16]", "--data.cache_dir", "cache")
        return [
            "-c",
            "v3",
            *data,
            "--data.expand",
            "null",
            "--name",
            name,
            "--trainer.max_epochs",
            epochs,
            *AVERAGED,
        ]

    def run_of(name: str) -> Path:
        (run,) = (tmp_path / "runs" / name).iterdir()
        return run

    def last(name: str) -> dict:
        return torch.load(run_of(name) / "checkpoints" / "last.ckpt", weights_only=True)

    done = fit(*words("two", 2), cwd=tmp_path)
    assert "use_ema: last.ckpt holds the averaged weights" in done.stderr
    two = last("two")
    slots = two["optimizer_states"][0]["state"]
    kernels = [name for name in two["state_dict"] if name.endswith("weight")]
    assert kernels
    found = {tuple(slot["average"].flatten()[:3].tolist()) for slot in slots.values()}
    for name in kernels:
        assert tuple(two["state_dict"][name].flatten()[:3].tolist()) in found, name
        assert not torch.equal(two["state_dict"][name], two[WEIGHTS_BEFORE_AVERAGING][name])
    # With more epochs it ends as a run that had them from the start.
    fit("--resume", run_of("two"), "--trainer.max_epochs", 3, cwd=tmp_path)
    fit(*words("three", 3), cwd=tmp_path)
    resumed, whole = last("two"), last("three")
    for name, values in whole["state_dict"].items():
        assert torch.equal(values, resumed["state_dict"][name]), name


def draw_pictures_in(root: Path) -> Path:
    root.mkdir()
    return draw_pictures(root)
