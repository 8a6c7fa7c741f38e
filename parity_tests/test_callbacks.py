"""Callbacks decide as both Keras generations do, on random figures with ties, NaN and infinities."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from conftest import DTYPES, PROFILES
from lightning.pytorch.callbacks import Checkpoint
from torch.utils.data import DataLoader, TensorDataset

from lightning_impl.keras_semantics.callbacks import (
    CheckpointRule,
    KerasEarlyStopping,
    KerasModelCheckpoint,
    KerasTerminateOnNaN,
    PlateauRule,
    StoppingRule,
)
from lightning_impl.keras_semantics.profile import PROFILES as PROFILE_OF
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError
from parity_tests.keras_oracle import ask_keras

SEQUENCES = 200
BOTH = pytest.mark.parametrize(("profile", "dtype"), list(itertools.product(PROFILES, DTYPES)))
Case = dict[str, Any]
Decisions = tuple[list[float], float | None, list[int]]


def figures_of(random: np.random.RandomState) -> list[float]:
    """One sequence: falling, level or jumping, rounded so that ties and steps of just min_delta occur."""
    count = random.randint(6, 16)
    slope = random.choice([-0.1, -0.02, 0.0, 0.05])
    figures = 0.6 + slope * np.arange(count) + random.choice([0.0, 0.05, 0.3]) * random.normal(size=count)
    digits = random.choice([1, 2, 12])
    figures = np.round(figures, digits)
    if random.rand() < 0.5:
        figures = figures.astype(np.float32).astype(np.float64)
    for odd, chance in ((np.nan, 0.15), (np.inf, 0.05), (-np.inf, 0.03)):
        if random.rand() < chance:
            figures[random.choice([0, random.randint(count)])] = odd
    return figures.tolist()


def draw_cases(draw_arguments: Callable[[np.random.RandomState], dict]) -> list[Case]:
    cases = []
    for number in range(SEQUENCES):
        random = np.random.RandomState(number)
        monitor = str(random.choice(["val_loss", "loss", "val_accuracy", "accuracy"]))
        arguments = {"monitor": monitor, "mode": str(random.choice(["auto", "min", "max"]))}
        rate = float(random.choice([0.1, 0.01, 0.001, 0.0007]))
        figures = figures_of(random)
        cases.append({"arguments": arguments | draw_arguments(random), "figures": figures, "rate": rate})
    return cases


def plateau_arguments(random: np.random.RandomState) -> dict[str, Any]:
    return {
        "factor": float(random.choice([0.1, 0.5, 0.3])),
        "patience": int(random.randint(0, 4)),
        "min_delta": float(random.choice([0.0, 1e-4, 0.01, 0.1])),
        "cooldown": int(random.randint(0, 4)),
        "min_lr": float(random.choice([0.0, 1e-4, 5e-3])),
    }


def stopping_arguments(random: np.random.RandomState) -> dict[str, Any]:
    return {
        "min_delta": float(random.choice([0.0, 0.01, -0.01, 0.1])),
        "patience": int(random.randint(0, 4)),
        "baseline": None if random.rand() < 0.6 else float(random.choice([0.3, 0.6, 0.5])),
        "restore_best_weights": bool(random.rand() < 0.6),
        "start_from_epoch": int(random.choice([0, 0, 2])),
    }


def checkpoint_arguments(random: np.random.RandomState) -> dict[str, Any]:
    threshold = None if random.rand() < 0.5 else float(random.choice([0.3, 0.5, 0.6]))
    return {"save_best_only": True, "initial_value_threshold": threshold}


def as_plateau(case: Case, profile: Profile, number: type) -> Decisions:
    rule = PlateauRule(profile, **case["arguments"], number=number)
    rate, rates = case["rate"], []
    for figure in case["figures"]:
        rate = rule.rate_after(figure, rate)
        rates.append(rate)
    return rates, None, []


def as_stopping(case: Case, profile: Profile, number: type) -> Decisions:
    arguments = dict(case["arguments"])
    restore = arguments.pop("restore_best_weights")
    rule = StoppingRule(profile, **arguments)
    kept, rates = None, []
    for epoch, figure in enumerate(case["figures"]):
        rule.see(epoch, figure)
        kept = epoch if rule.keep else kept
        rates.append(case["rate"])
        if rule.stop:
            break
    return rates, float(kept if restore and kept is not None else len(rates) - 1), []


def as_checkpoint(case: Case, profile: Profile, number: type) -> Decisions:
    arguments = {name: value for name, value in case["arguments"].items() if name != "save_best_only"}
    rule = CheckpointRule(profile, **arguments)
    saved = [epoch + 1 for epoch, figure in enumerate(case["figures"]) if rule.is_saved(figure)]
    return [case["rate"]] * len(case["figures"]), None, saved


CALLBACKS: dict[str, tuple[Callable, Callable[[Case, Profile, type], Decisions]]] = {
    "ReduceLROnPlateau": (plateau_arguments, as_plateau),
    "EarlyStopping": (stopping_arguments, as_stopping),
    "ModelCheckpoint": (checkpoint_arguments, as_checkpoint),
}


def ask(callback: str, cases: Sequence[Case], profile: str, dtype: str) -> dict[str, np.ndarray]:
    return ask_keras("callbacks.decide", profile, callback=callback, cases=json.dumps(cases), dtype=dtype)


def parted(
    callback: str,
    ours: Callable[[Case, Profile, type], Decisions],
    cases: Sequence[Case],
    profile: str,
    dtype: str,
) -> list[int]:
    """The numbers of the cases in which anything decided differs."""
    theirs = ask(callback, cases, profile, dtype)
    number = np.dtype(dtype).type
    # The legacy optimizers keep the rate in float32 whatever floatx is.
    stored = np.float32 if profile == "tf2.4" else number
    found = []
    for place, case in enumerate(cases):
        rates, weight, saved = ours(case, PROFILE_OF[profile], number)
        same = [float(stored(rate)) for rate in rates] == theirs[f"{place}|rates"].tolist()
        same &= weight is None or weight == theirs[f"{place}|weight"]
        same &= callback != "ModelCheckpoint" or saved == theirs[f"{place}|saved"].tolist()
        if not same:
            found.append(place)
    return found


@pytest.mark.keras
@BOTH
@pytest.mark.parametrize("callback", CALLBACKS)
def test_decisions_are_keras(callback: str, profile: str, dtype: str) -> None:
    draw_arguments, ours = CALLBACKS[callback]
    cases = draw_cases(draw_arguments)
    assert parted(callback, ours, cases, profile, dtype) == []


def test_sequences_reach_every_decision() -> None:
    """Otherwise agreement would prove little."""
    profile = PROFILE_OF["keras3"]
    plateaus = [as_plateau(case, profile, np.float32)[0] for case in draw_cases(plateau_arguments)]
    assert sum(len(set(rates)) > 2 for rates in plateaus) > SEQUENCES / 4
    cases = draw_cases(stopping_arguments)
    stops = [as_stopping(case, profile, np.float32) for case in cases]
    assert sum(len(s[0]) < len(c["figures"]) for s, c in zip(stops, cases, strict=True)) > SEQUENCES / 4
    assert sum(weight != len(rates) - 1 for rates, weight, _ in stops) > SEQUENCES / 4
    saved = [as_checkpoint(case, profile, np.float32)[2] for case in draw_cases(checkpoint_arguments)]
    assert sum(1 < len(epochs) < 6 for epochs in saved) > SEQUENCES / 4
    assert sum(np.isnan(case["figures"][0]) for case in cases) > 5


def torch_plateau(case: Case, profile: Profile, number: type) -> Decisions:
    """torch's own scheduler with the same words."""
    arguments = dict(case["arguments"])
    monitor, mode = arguments.pop("monitor"), arguments.pop("mode")
    if mode == "auto":
        mode = "max" if "acc" in monitor else "min"
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=case["rate"])
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode,
        arguments["factor"],
        arguments["patience"],
        arguments["min_delta"],
        cooldown=arguments["cooldown"],
        min_lr=arguments["min_lr"],
    )
    rates = []
    for figure in case["figures"]:
        scheduler.step(figure)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates, None, []


def lightning_stopping(case: Case, profile: Profile, number: type) -> Decisions:
    """Lightning's own callback with the same words; it knows no baseline, start or restoring."""
    arguments = case["arguments"]
    mode = arguments["mode"]
    if mode == "auto":
        mode = "max" if "acc" in arguments["monitor"] else "min"
    stopping = lightning.pytorch.callbacks.EarlyStopping(
        arguments["monitor"], arguments["min_delta"], arguments["patience"], mode=mode
    )
    rates = []
    for figure in case["figures"]:
        rates.append(case["rate"])
        if stopping._evaluate_stopping_criteria(torch.tensor(figure))[0]:
            break
    return rates, None, []


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("callback", "builtin"),
    [("ReduceLROnPlateau", torch_plateau), ("EarlyStopping", lightning_stopping)],
)
def test_builtin_callbacks_decide_otherwise(callback: str, builtin: Callable, profile: str) -> None:
    cases = draw_cases(CALLBACKS[callback][0])
    assert len(parted(callback, builtin, cases, profile, "float32")) > SEQUENCES / 4


@pytest.mark.keras
@pytest.mark.parametrize(
    ("callback", "name", "change"),
    [
        ("ReduceLROnPlateau", "patience", lambda value: value + 1),
        ("ReduceLROnPlateau", "cooldown", lambda value: value + 1),
        ("ReduceLROnPlateau", "min_delta", lambda value: value / 2),
        ("EarlyStopping", "patience", lambda value: value + 1),
        ("EarlyStopping", "baseline", lambda value: None),
        ("EarlyStopping", "start_from_epoch", lambda value: 0),
        ("ModelCheckpoint", "initial_value_threshold", lambda value: None),
    ],
)
def test_a_wrong_argument_is_noticed(callback: str, name: str, change: Callable) -> None:
    draw_arguments, ours = CALLBACKS[callback]
    cases = draw_cases(draw_arguments)

    def faulty(case: Case, profile: Profile, number: type) -> Decisions:
        arguments = case["arguments"] | {name: change(case["arguments"][name])}
        return ours(case | {"arguments": arguments}, profile, number)

    for profile in PROFILES:
        assert parted(callback, faulty, cases, profile, "float32")


@pytest.mark.keras
@pytest.mark.parametrize("callback", CALLBACKS)
def test_names_are_read_as_tf_keras_reads_them(callback: str) -> None:
    """tf_keras guesses a figure's direction from its name, each callback in its own way."""
    draw_arguments, ours = CALLBACKS[callback]
    cases = draw_cases(draw_arguments)[:60]
    names = ("val_acc", "val_auc", "fmeasure_of_dogs", "top_k_accuracy", "acceptance", "precision")
    for case, name in zip(cases, itertools.cycle(names)):
        case["arguments"] |= {"monitor": name, "mode": "auto"}
    assert parted(callback, ours, cases, "tf2.4", "float32") == []
    with pytest.raises(UserError, match=f"{callback}: Keras 3 does not know whether val_auc is to rise"):
        ours(cases[1], PROFILE_OF["keras3"], np.float32)


class Told(lightning.LightningModule):
    """Logs a told val_loss each epoch; its weight counts the steps taken."""

    def __init__(self, figures: Sequence[float], losses: Sequence[float] = ()) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.figures = figures
        self.losses = losses

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        told = self.losses[self.global_step] if self.losses else 1.0
        return -self.weight.sum() * 1.0 + told

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.figures[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def train(module: Told, folder: Path, *callbacks: lightning.Callback) -> lightning.Trainer:
    trainer = lightning.Trainer(
        max_epochs=len(module.figures),
        accelerator="cpu",
        logger=False,
        enable_checkpointing=any(isinstance(each, Checkpoint) for each in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        callbacks=list(callbacks),
    )
    batches = DataLoader(TensorDataset(torch.zeros(4, 1)), batch_size=2)
    trainer.fit(module, batches, batches)
    return trainer


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    # Lightning's own use of a torch name that torch has deprecated.
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


def test_trainer_stops_and_restores_the_best_epoch(tmp_path: Path) -> None:
    module = Told([0.5, 0.3, 0.4, 0.35, 0.1, 0.1])
    stopping = KerasEarlyStopping(PROFILE_OF["keras3"], restore_best_weights=True, patience=2)
    trainer = train(module, tmp_path, stopping)
    assert trainer.current_epoch == 4
    # Two steps an epoch; the second epoch's end was the best.
    assert module.weight.item() == 4


@pytest.mark.parametrize(("best_only", "epochs"), [(True, [1, 2, 5]), (False, [1, 2, 3, 4, 5])])
def test_trainer_saves_what_keras_saves(best_only: bool, epochs: list[int], tmp_path: Path) -> None:
    path = str(tmp_path / "{epoch}-{val_loss:.2f}.ckpt")
    figures = [0.5, 0.3, 0.4, 0.35, 0.1]
    callback = KerasModelCheckpoint(PROFILE_OF["keras3"], path, save_best_only=best_only)
    train(Told(figures), tmp_path, callback)
    names = [f"{epoch}-{figures[epoch - 1]:.2f}.ckpt" for epoch in epochs]
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    for epoch, name in zip(epochs, names, strict=True):
        saved = torch.load(tmp_path / name, weights_only=True)["state_dict"]
        assert float(saved["weight"]) == 2 * epoch


def test_trainer_saves_every_few_batches(tmp_path: Path) -> None:
    callback = KerasModelCheckpoint(
        PROFILE_OF["tf2.4"], str(tmp_path / "{epoch}.ckpt"), save_freq=3, save_weights_only=True
    )
    train(Told([0.5] * 5), tmp_path, callback)
    weights = {path.name: float(torch.load(path)["state_dict"]["weight"]) for path in tmp_path.iterdir()}
    # Steps 3, 6 and 9 of two an epoch: in epochs 2, 3 and 5.
    assert weights == {"2.ckpt": 3, "3.ckpt": 6, "5.ckpt": 9}


def test_trainer_ends_after_a_loss_that_is_no_number(tmp_path: Path) -> None:
    trainer = train(Told([0.5] * 3, [1.0, float("nan"), *[1.0] * 4]), tmp_path, KerasTerminateOnNaN())
    assert trainer.global_step == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: KerasEarlyStopping(p, patiense=3), 'no argument patiense (did you mean "patience"?)'),
        (lambda p: KerasModelCheckpoint(p, "x.ckpt", save_freq="batch"), 'save_freq is "batch"'),
        (lambda p: KerasModelCheckpoint(p, "x.h5"), "x.h5: give a path that ends in .ckpt"),
        (lambda p: PlateauRule(p, factor=1.0), "factor is 1.0: give a number below 1"),
    ],
)
def test_wrong_argument_is_one_line(make: Callable[[Profile], object], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make(PROFILE_OF["keras3"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_figure_that_is_not_logged_is_named(tmp_path: Path) -> None:
    stopping = KerasEarlyStopping(PROFILE_OF["tf2.4"], monitor="val_los")
    with pytest.raises(UserError, match=r'no figure val_los \(did you mean "val_loss"'):
        train(Told([0.5]), tmp_path, stopping)
