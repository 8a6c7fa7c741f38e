"""Replays a recorded training: the same batches, masks and callbacks through Lightning's own Trainer."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.warnings import PossibleUserWarning
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from keras_reference import record
from lightning_impl.compiled import CompiledModule
from lightning_impl.keras_semantics.schedules import Schedule
from parity_common.command_errors import UserError
from porting.recipe import Recipe
from porting.replay import TO_CHANNELS_FIRST
from porting.trace import Trace, training_of
from porting.weights import Pair, keras_to_torch, pairs, torch_names


@dataclass
class Walk:
    """What a replayed training did, in Keras's names and axis order.

    Attributes:
        loss: Of every step.
        learning_rate: Of every step.
        epochs: Each figure by name, a value an epoch.
        states: Arrays "gradient/conv1/kernel", "parameter/…", "statistic/…" by the step after which they
            were read; 0 holds the end of the training.
        evaluation: The loss and metrics after the training.
    """

    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    epochs: dict[str, list[float]] = field(default_factory=dict)
    states: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    evaluation: dict[str, float] = field(default_factory=dict)


FINAL = 0


def in_keras_order(pair: Pair, tensor: Tensor) -> np.ndarray:
    """A torch tensor of a parameter's shape, with Keras's axes; a copy."""
    return pair.to_keras(tensor.detach().cpu().numpy())


def in_torch_order(pair: Pair, array: np.ndarray) -> Tensor:
    """A Keras array of a weight's shape, with torch's axes."""
    return torch.from_numpy(pair.to_torch(array))


def trained_names(trace: Trace) -> list[str]:
    """The weights that Keras trains, "layer/weight"."""
    return [
        f"{layer.name}/{weight.name}"
        for layer in trace.layers
        for weight in layer.weights
        if weight.trainable
    ]


def trained_pairs(trace: Trace, net: nn.Module) -> dict[str, Pair]:
    """The weights that Keras trains, by "layer/weight"."""
    trained = set(trained_names(trace))
    return {pair.keras_name: pair for pair in pairs(trace.layers, net) if pair.keras_name in trained}


def held_pairs(trace: Trace, net: nn.Module) -> dict[str, Pair]:
    """The others: statistics, and frozen weights."""
    trained = set(trained_names(trace))
    return {pair.keras_name: pair for pair in pairs(trace.layers, net) if pair.keras_name not in trained}


def examples(trace: Trace, part: str) -> tuple[Tensor, ...]:
    """The recorded examples of "fit" or "validation": inputs, labels and, if there are, sample weights."""
    inputs = torch.from_numpy(trace.array(f"{part}/x"))
    tensors = [inputs.permute(TO_CHANNELS_FIRST) if inputs.dim() == 4 else inputs]
    tensors.append(torch.from_numpy(trace.array(f"{part}/labels")))
    if f"{part}/sample_weight" in trace.entries:
        tensors.append(torch.from_numpy(trace.array(f"{part}/sample_weight")))
    return tuple(tensors)


def first_batch(trace: Trace) -> tuple[Tensor, ...]:
    """The examples of the first step, in their order."""
    data = examples(trace, "fit")
    order = record.epoch_order(trace.seed, 0, len(data[1]))[: training_of(trace).batch]
    return tuple(tensor[torch.from_numpy(order)] for tensor in data)


class _Examples(Dataset):
    def __init__(self, tensors: tuple[Tensor, ...]) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[1])

    def __getitems__(self, places: list[int]) -> tuple[Tensor, ...]:
        return tuple(tensor[places] for tensor in self.tensors)

    def __getitem__(self, place: int) -> tuple[Tensor, ...]:
        return self.__getitems__([place])


class _RecordedOrder(Sampler[list[int]]):
    """Batches of places, an epoch at a time; each iteration is the next epoch."""

    def __init__(self, seed: int, count: int, batch: int, drop_last: bool) -> None:
        self.seed, self.count, self.batch = seed, count, batch
        self.taken = count - count % batch if drop_last else count
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.taken // self.batch)

    def __iter__(self) -> Iterator[list[int]]:
        order = record.epoch_order(self.seed, self.epoch, self.count).tolist()
        self.epoch += 1
        yield from (order[start : start + self.batch] for start in range(0, self.taken, self.batch))


def _loaders(trace: Trace, drop_last: bool = False) -> tuple[DataLoader, DataLoader]:
    training = training_of(trace)
    data, held = examples(trace, "fit"), examples(trace, "validation")
    order = _RecordedOrder(trace.seed, len(data[1]), training.batch, drop_last)

    def whole(batch: Any) -> Any:
        return batch

    return (
        DataLoader(_Examples(data), batch_sampler=order, collate_fn=whole),
        DataLoader(_Examples(held), batch_size=training.batch, collate_fn=whole),
    )


class RecordedMasks:
    """Gives every Dropout of a port the masks that Keras's had.

    Args:
        net: The port; its dropout layers bear Keras's names, or `keras_names` says which they are.
        trace: Holds rate and shape of each.

    Raises:
        UserError: A name has no module in the port, or one without a `rate` (ours) or `p` (torch's).
    """

    def __init__(self, net: nn.Module, trace: Trace) -> None:
        self.step = 0
        modules, names = dict(net.named_modules()), torch_names(net)
        for name, said in training_of(trace).dropout.items():
            layer = modules.get(names.get(name, name))
            if layer is None or not (hasattr(layer, "keep_mask") or hasattr(layer, "p")):
                raise UserError(
                    f"the port has no Dropout named {name}: a replay needs one to give it Keras's masks"
                )
            draw = self._drawer(trace.seed, name, said["shape"], said["rate"])
            if hasattr(layer, "keep_mask"):
                layer.keep_mask = draw
            else:
                layer.forward = self._stock_forward(layer, draw)

    def _drawer(self, seed: int, name: str, shape: list[int], rate: float) -> Callable[[Tensor], Tensor]:
        def keep_mask(features: Tensor) -> Tensor:
            mask = torch.from_numpy(record.dropout_mask(seed, name, self.step, shape, rate))[: len(features)]
            return (mask.permute(TO_CHANNELS_FIRST) if mask.dim() == 4 else mask).to(features.device)

        return keep_mask

    @staticmethod
    def _stock_forward(layer: Any, draw: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def forward(features: Tensor) -> Tensor:
            if not layer.training:
                return features
            return features * draw(features).to(features.dtype).mul_(1 / (1 - layer.p))

        return forward


class _EnoughSteps(Exception):
    """Ends a training within an epoch, before its callbacks are asked for an epoch that did not end."""


class _Watch(Callback):
    """Sets the masks before each step and reads what it did."""

    def __init__(
        self,
        trace: Trace,
        masks: RecordedMasks,
        walk: Walk,
        last_step: int | None,
        schedule: Schedule | None,
    ) -> None:
        self.trace, self.masks, self.walk, self.last_step = trace, masks, walk, last_step
        self.schedule = schedule
        self.rates = trace.array("steps/learning_rate")
        training = training_of(trace)
        self.whole_steps = range(1, training.update_steps + 1)
        self.steps = {*self.whole_steps, *training.at_steps}

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.masks.step = trainer.global_step
        groups = trainer.optimizers[0].param_groups
        if self.schedule is None:
            self.walk.learning_rate.append(float(groups[0]["lr"]))
            return
        # The schedule's rate is compared; the step is made with Keras's, which may be its float32 neighbour.
        self.walk.learning_rate.append(self.schedule(trainer.global_step))
        for group in groups:
            group["lr"] = float(self.rates[min(trainer.global_step, len(self.rates) - 1)])

    def on_before_optimizer_step(self, trainer: Trainer, module: Any, optimizer: Any) -> None:
        step = trainer.global_step + 1
        if step in self.whole_steps:
            parameters = dict(module.net.named_parameters())
            self.walk.states[step] = {
                f"gradient/{name}": in_keras_order(pair, parameters[pair.torch_name].grad)
                for name, pair in trained_pairs(self.trace, module.net).items()
            }

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.walk.loss.append(float(outputs["loss"]))
        if trainer.global_step in self.steps:
            state = self.walk.states.setdefault(trainer.global_step, {})
            state.update(read_state(module.net, self.trace))
        if trainer.global_step == self.last_step:
            raise _EnoughSteps

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        for name, value in trainer.callback_metrics.items():
            self.walk.epochs.setdefault(name, []).append(float(value))


def read_state(net: nn.Module, trace: Trace) -> dict[str, np.ndarray]:
    """Parameters and statistics, "parameter/conv1/kernel" and "statistic/bn1/moving_mean"."""
    tensors = net.state_dict()
    state = {
        f"parameter/{name}": in_keras_order(pair, tensors[pair.torch_name])
        for name, pair in trained_pairs(trace, net).items()
    }
    state |= {
        f"statistic/{name}": in_keras_order(pair, tensors[pair.torch_name])
        for name, pair in held_pairs(trace, net).items()
    }
    return state


def compile_port(net: nn.Module, recipe: Recipe) -> CompiledModule:
    """The LightningModule that trains `net` by `recipe`."""
    penalty, constrain = recipe.penalty, recipe.constrain
    return recipe.module_class(
        net,
        recipe.loss,
        recipe.make_optimizer,
        recipe.class_weight,
        None if penalty is None else lambda: penalty(net),
        None if constrain is None else lambda: constrain(net),
        accuracy=recipe.accuracy,
    )


def fresh_net(net: nn.Module, trace: Trace) -> nn.Module:
    """A copy of a port with the trace's start weights: a replay changes its net."""
    copied = copy.deepcopy(net)
    keras_to_torch(trace.weights, trace.layers, copied)
    return copied


def evaluate(net: nn.Module, trace: Trace, recipe: Recipe) -> dict[str, float]:
    """Loss and metrics on the recorded validation examples, by Keras's names."""
    trainer = _trainer(1, [])
    figures = _quietly(trainer.validate, compile_port(net, recipe), _loaders(trace)[1], verbose=False)[0]
    return {name.removeprefix("val_"): float(trainer.callback_metrics[name]) for name in figures}


def walk(net: nn.Module, trace: Trace, recipe: Recipe, steps: int | None = None) -> Walk:
    """Trains a copy of the port as Keras trained, from the same weights, and watches it.

    Args:
        net: The port; unchanged.
        trace: Holds the training.
        recipe: What compile's and fit's arguments became.
        steps: Stop after so many; None goes to the end.
    """
    return walk_on(fresh_net(net, trace), trace, recipe, steps)


def walk_on(net: nn.Module, trace: Trace, recipe: Recipe, steps: int | None = None) -> Walk:
    """The same for a net with the weights that it has, which it loses."""
    training = training_of(trace)
    # Lightning trains a module in the mode in which it finds it.
    module = compile_port(net, recipe).train()
    found = Walk()
    watch = _Watch(trace, RecordedMasks(net, trace), found, steps, recipe.schedule)
    # The watch comes first: it reads an epoch's figures before a callback acts on them.
    trainer = _trainer(training.epochs, [watch, *recipe.callbacks()])
    with contextlib.suppress(_EnoughSteps):
        _quietly(trainer.fit, module, *_loaders(trace, recipe.drop_last))
    if steps is None:
        found.states[FINAL] = read_state(net, trace)
        found.evaluation = evaluate(net, trace, recipe)
    return found


def _trainer(epochs: int, callbacks: list[Callback], **more: Any) -> Trainer:
    return _quietly(
        Trainer,
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **more,
    )


def _quietly(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Calls a Trainer without its remarks on loggers, workers and devices."""
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero")
    ]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            # Lightning 2.6 uses a name that torch 2.15 is about to drop.
            warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
            return function(*arguments, **named)
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
