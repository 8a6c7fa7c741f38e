"""Where Keras trains, saves and trains on, and a fit goes on from the file: what both sides did."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch import Tensor

from keras_reference import record
from lightning_impl.cli import FitCLI, read_data
from lightning_impl.keras_semantics.layers import Dropout, DropoutPerImage
from lightning_impl.keras_semantics.optimizers import KerasOptimizer
from lightning_impl.keras_semantics.weight_places import RULES
from lightning_impl.models.final import Final
from lightning_impl.module import Classifier
from lightning_impl.pretrained.into_net import keras_class
from parity_tests.keras_oracle import ask_keras
from parity_tests.keras_questions.carry_over import SEED
from porting.__main__ import main
from porting.carry_over.port_steps import layers_of
from porting.comparison import Comparison, compare, compare_array
from porting.tolerances import (
    FLOAT32_STEPS,
    PARAMETERS,
    ROUND_OFF,
    SCHEDULE,
    STATISTICS,
    TOLERANCES,
    TRAINING_LOSS,
    VANISHING,
)

CLASSES = "abcde"
# Of 25 images each a fifth is validation: 100 training images, 20 batches in the one epoch.
IMAGES_PER_CLASS, BATCH, STEPS, STEPS_BEFORE = 25, 5, 20, 5
# No file's: a rate that is taken from the config shows.
CONFIG_RATE = 0.004
SIZE, FINAL_SIZE = (19, 17), (33, 35)

# Of v3: a BatchNormalization takes them away again, their gradients are round-off.
BEFORE_BATCH_NORM = {"conv1/bias", "conv2/bias", "conv3/bias", "conv4/bias", "dense/bias"}

Case = dict[str, Any]
Arrays = dict[str, np.ndarray]
COSINE = ("CosineDecay", {"initial_learning_rate": 0.05, "decay_steps": 40, "alpha": 0.1})
PLAIN = {"arch": "plain", "arch_arguments": {"filters": [4, 6], "dense": [9]}}
CASES: dict[str, Case] = {
    "v3-nadam": {
        "net": "v3",
        "optimizer": "Nadam",
        "arguments": {"learning_rate": 0.002, "beta_1": 0.8},
        "rate": 0.0007,
    },
    "plain-adam": {
        "net": "plain",
        "optimizer": "Adam",
        "arguments": {"learning_rate": 0.01, "amsgrad": True, "clipnorm": 0.5},
    },
    "plain-sgd": {
        "net": "plain",
        "optimizer": "SGD",
        "arguments": {"momentum": 0.9, "nesterov": True},
        "schedule": COSINE,
    },
    "plain-rmsprop": {
        "net": "plain",
        "optimizer": "RMSprop",
        "arguments": {"learning_rate": 0.003, "momentum": 0.5, "centered": True},
    },
}
FIRST_TRAINED = {
    "efficientnet_b0": "block7a_expand_conv",
    "efficientnet_lite0": "block7a_expand_conv",
    "mobilenet_v2": "block_16_expand",
    "resnet50": "conv5_block3_3_conv",
}


def final_case(backbone: str, stage: str | None) -> Case:
    """A stage of a fine-tuning, or the whole net, where Adam would make much of gradients of round-off."""
    if stage is None:
        return {"net": backbone, "optimizer": "SGD", "arguments": {"learning_rate": 1e-4}}
    stages = {"stage": stage, "first_trained": FIRST_TRAINED[backbone]}
    return {"net": backbone, "optimizer": "Adam", "arguments": {"learning_rate": 3e-4}, **stages}


def config_of(case: Case) -> dict[str, Any]:
    """`model` of the config that a case's file is carried over with."""
    if case["net"] not in FIRST_TRAINED:
        return dict(PLAIN) if case["net"] == "plain" else {"arch": case["net"]}
    # Another layer than the file's: the file knows.
    fine_tune = {"unfreeze_from": list(Final(backbone=case["net"]).keras_names)[-1], "start_epoch": 1}
    return {
        "arch": "final",
        "arch_arguments": {"backbone": case["net"]},
        "fine_tune": fine_tune if case.get("stage") else None,
    }


class Studio:
    """A folder with pictures, the batches that a fit makes of them, and what Keras does with these.

    Args:
        folder: Empty.
        case: What is trained.
    """

    def __init__(self, folder: Path, case: Case) -> None:
        self.folder, self.case = folder, case
        model = config_of(case)
        self.is_final = model["arch"] == "final"
        size = FINAL_SIZE if self.is_final else SIZE
        for label, name in enumerate(CLASSES):
            (folder / "pictures" / name).mkdir(parents=True)
            for number in range(IMAGES_PER_CLASS):
                pixels = np.random.RandomState(100 * label + number).randint(0, 256, (*size, 3))
                path = folder / "pictures" / name / f"{number:02}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)
        self.config = folder / "studio.yaml"
        data = {
            "root": str(folder / "pictures"),
            "image_size": list(size),
            "batch_size": BATCH,
            "cache_dir": str(folder / "cache"),
            "augment": {"rescale": None if self.is_final else 1 / 255},
        }
        trainer = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False}
        said = {"model": {"learning_rate": CONFIG_RATE, **model}, "data": data, "trainer": trainer}
        self.config.write_text(yaml.safe_dump(said))

    def batches(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Those of the first epoch, as the net takes them, and their labels."""
        data = read_data(["--config", str(self.config)])
        data.prepare_data()
        data.setup("fit")
        found = [data.finish(batch) for batch in data.train_dataloader()]
        images = np.stack([images.numpy() for images, _ in found]).astype(dtype)
        labels = np.stack([labels.numpy() for _, labels in found])
        return (images if self.is_final else images * np.asarray(1 / 255, dtype)), labels

    def keras_goes_on(self, profile: str, dtype: str, *suffixes: str) -> Arrays:
        """Keras's training around its files `file_of(suffix)`."""
        images, labels = self.batches(dtype)
        return ask_keras(
            "carry_over.go_on",
            profile,
            case=json.dumps(self.case),
            dtype=dtype,
            before=images[::-1][:STEPS_BEFORE],
            labels_before=labels[::-1][:STEPS_BEFORE],
            after=images,
            labels_after=labels,
            at_step=FLOAT32_STEPS,
            paths=[str(self.file_of(suffix)) for suffix in suffixes],
        )

    def file_of(self, suffix: str) -> Path:
        return self.folder / f"model{suffix}"

    def carry_over(self, suffix: str, *words: str, name: str = "run") -> Path:
        """The run folder of a file."""
        run = self.folder / name
        assert (
            main(["carry-over", str(self.file_of(suffix)), "-c", str(self.config), "--out", str(run), *words])
            == 0
        )
        return run


class Watch(Callback):
    """Gives dropout Keras's masks, and reads what each step did.

    Args:
        profile: Keras's.
        rates: Keras's of each step, where a schedule makes them: the schedule's is read, the step made with
            Keras's, which may be its float32 neighbour.
    """

    def __init__(self, profile: str, rates: Sequence[float] | None = None) -> None:
        self.profile, self.rates = profile, rates
        self.loss: list[float] = []
        self.rate: list[float] = []
        self.states: dict[str, Arrays] = {}

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        keras_names = {ours: keras for keras, ours in getattr(module.net, "keras_names", {}).items()}
        for name, layer in layers_of(module.net).items():
            if isinstance(layer, Dropout):
                layer.keep_mask = self._masks(keras_names.get(name, name), layer)  # type: ignore[method-assign]

    def _masks(self, name: str, layer: Dropout) -> Callable[[Tensor], Tensor]:
        def keep_mask(features: Tensor) -> Tensor:
            shape = [len(features), *features.shape[2:], features.shape[1]]
            if isinstance(layer, DropoutPerImage):
                shape = [len(features), 1, 1, 1]
            elif features.dim() == 2:
                shape = list(features.shape)
            mask = record.dropout_mask(SEED, name, STEPS_BEFORE + len(self.loss), shape, layer.rate)
            return torch.from_numpy(mask.transpose(0, 3, 1, 2) if mask.ndim == 4 else mask)

        return keep_mask

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        (group,) = trainer.optimizers[0].param_groups
        self.rate.append(float(group["lr"]))
        if self.rates is not None:
            group["lr"] = float(self.rates[batch_idx])

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.loss.append(float(outputs["loss"]))
        when = {FLOAT32_STEPS: "middle", STEPS: "end"}.get(len(self.loss))
        if when is not None:
            self.states[when] = state_of(module, trainer.optimizers[0], self.profile)


def state_of(module: Classifier, optimizer: Any, profile: str) -> Arrays:
    """Weights and slots in Keras's names and order of axes."""
    assert isinstance(optimizer, KerasOptimizer)
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    keras_names = {ours: keras for keras, ours in getattr(module.net, "keras_names", {}).items()}
    found = {}
    for name, layer in layers_of(module.net).items():
        places = dict(RULES.get(str(keras_class(layer)), {}))
        if "depthwise_kernel" in places:
            del places["kernel" if profile == "tf2.4" else "depthwise_kernel"]
        for weight, place in places.items():
            tensor = getattr(layer, place.attribute)
            if tensor is None:
                continue
            tensors = {"": tensor}
            if id(tensor) in trained:
                tensors |= {f"/{slot}": value for slot, value in optimizer.slots(tensor).items()}
            for ending, value in tensors.items():
                array = value.detach().numpy().transpose(np.argsort(place.axes))
                found[f"{keras_names.get(name, name)}/{weight}{ending}"] = array.copy(order="C")
    return found


def fit_goes_on(run: Path, profile: str, rates: Sequence[float] | None = None) -> Arrays:
    """What `python -m lightning_impl.fit --resume RUN` does, watched."""
    cli = FitCLI(["--config", str(run / "config.yaml"), "--resume", str(run)], "test")
    watch = Watch(profile, rates)
    trainer: Any = cli.trainer
    trainer.callbacks.insert(0, watch)
    trainer.fit(cli.model, cli.datamodule, ckpt_path=run / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(watch.loss) == STEPS
    arrays = {
        f"{when}|{name}": array for when, state in watch.states.items() for name, array in state.items()
    }
    return {**arrays, "loss": np.array(watch.loss), "rate": np.array(watch.rate)}


def compared(ours: Arrays, theirs: Arrays, case: Case, dtype: str) -> list[Comparison]:
    """The 20 steps, each array by the tolerance of rung 9; in float32 the first ten of them."""
    steps = STEPS if dtype == "float64" else FLOAT32_STEPS
    rate_tolerance = TOLERANCES[SCHEDULE, dtype].residual if case.get("schedule") else 0.0
    found = [
        compare_array("rate", *(np.float32(side["rate"]) for side in (ours, theirs)), rate_tolerance),
        compare_array(
            "loss",
            *(side["loss"][:steps] for side in (ours, theirs)),
            TOLERANCES[TRAINING_LOSS, dtype].residual,
        ),
    ]
    for when in ("middle", "end") if dtype == "float64" else ("middle",):
        states = [
            {name: array for name, array in side.items() if name.startswith(f"{when}|")}
            for side in (ours, theirs)
        ]
        found += _compared_states(*states, case, dtype)
    return found


def _compared_states(ours: Arrays, theirs: Arrays, case: Case, dtype: str) -> list[Comparison]:
    by_name = {each.name: each for each in compare(ours, theirs, TOLERANCES[PARAMETERS, dtype].residual)}
    round_off = BEFORE_BATCH_NORM if case["net"] == "v3" else set()
    for whole, array in theirs.items():
        when, _, name = whole.partition("|")
        weight = "/".join(name.split("/")[:2])
        if by_name[whole].residual is None:
            continue
        if weight in round_off and name != weight:
            # A slot of round-off: measured by the kernel's, of which it is the round-off.
            kernel = theirs[f"{when}|{name.replace('/bias/', '/kernel/')}"]
            tolerance, scale = TOLERANCES[VANISHING, dtype].residual, float(np.abs(kernel).max())
            by_name[whole] = compare_array(whole, ours[whole], array, tolerance, scale)
        elif weight in round_off and dtype == "float64":
            by_name[whole] = compare_array(whole, ours[whole], array, TOLERANCES[ROUND_OFF, dtype].residual)
        elif "/moving_" in name and dtype == "float64":
            by_name[whole] = compare_array(whole, ours[whole], array, TOLERANCES[STATISTICS, dtype].residual)
        elif weight in round_off or (round_off and name.endswith("/moving_mean")):
            # In float32 they say nothing, nor the means that follow them (porting/round_off.py).
            del by_name[whole]
    return list(by_name.values())


def faults(found: list[Comparison]) -> dict[str, str]:
    return {each.name: each.fault for each in found if not each.holds}


def rates_of(case: Case, theirs: Arrays) -> Sequence[float] | None:
    return theirs["rate"].tolist() if case.get("schedule") else None
