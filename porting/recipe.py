"""How a port trains: what each of the arguments of Keras's `compile` and `fit` becomes in Lightning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_impl.compiled import CompiledModule
from lightning_impl.keras_semantics.accuracy import Accuracy, accuracy_of_logits
from lightning_impl.keras_semantics.callbacks import callbacks_from_keras
from lightning_impl.keras_semantics.constraints import constraint_from_keras_config
from lightning_impl.keras_semantics.losses import loss_from_keras_config
from lightning_impl.keras_semantics.optimizers import from_keras_config
from lightning_impl.keras_semantics.profile import PROFILES
from lightning_impl.keras_semantics.regularizers import regularizer_from_keras_config
from lightning_impl.keras_semantics.schedules import Schedule, schedule_from_keras_config
from porting.trace import Trace, training_of
from porting.weights import pairs


@dataclass
class Recipe:
    """One training's arguments, each of which a seeded fault can replace.

    Attributes:
        loss: Of logits, labels and sample weights or None.
        make_optimizer: Takes the parameters to train.
        callbacks: Makes them anew for each training.
        class_weight: By label, or None.
        penalty: Of the net: what its regularisers add to the loss; or None.
        constrain: Puts the net's weights back within their constraints; or None.
        module_class: The LightningModule that trains.
        schedule: The learning rate by step, from 0; None where it is a number that callbacks may change.
        drop_last: Whether an epoch leaves out a short last batch.
        accuracy: Of what the net gives and labels.
    """

    loss: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    make_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    callbacks: Callable[[], list[Callback]]
    class_weight: dict[int, float] | None = None
    penalty: Callable[[nn.Module], Tensor] | None = None
    constrain: Callable[[nn.Module], None] | None = None
    module_class: type[CompiledModule] = CompiledModule
    schedule: Schedule | None = None
    drop_last: bool = False
    accuracy: Callable[[Tensor, Tensor], Tensor] = accuracy_of_logits


def recipe_of(trace: Trace) -> Recipe:
    """What the recorded training's arguments become.

    Raises:
        UserError: A loss, optimizer, callback, regulariser or constraint without a rule.
    """
    training, profile = training_of(trace), PROFILES[trace.profile]
    last = trace.layer(trace.outputs[0])
    activation = last.activation or last.class_name.lower()
    ends_in = activation if activation in ("softmax", "sigmoid") else None
    name, config = training.optimizer["class"], dict(training.optimizer["config"])
    schedule = None
    if isinstance(config.get("learning_rate"), Mapping):
        schedule = schedule_from_keras_config(config["learning_rate"])
        config["learning_rate"] = schedule(0)
    weights = training.class_weight
    return Recipe(
        loss_from_keras_config(training.loss["name"], training.loss["config"], ends_in, profile),
        lambda parameters: from_keras_config(name, config, profile, parameters),
        lambda: callbacks_from_keras(training.callbacks, profile),
        None if weights is None else {int(label): weight for label, weight in weights.items()},
        _penalty(trace),
        _constrain(trace),
        schedule=schedule,
        accuracy=Accuracy(ends_in),
    )


def _penalty(trace: Trace) -> Callable[[nn.Module], Tensor] | None:
    rules = {
        name: regularizer_from_keras_config(said["class"], said["config"], PROFILES[trace.profile])
        for name, said in training_of(trace).regularizers.items()
    }

    def penalty(net: nn.Module) -> Tensor:
        places = {pair.keras_name: pair.torch_name for pair in pairs(trace.layers, net)}
        parameters = dict(net.named_parameters())
        return torch.stack([rule(parameters[places[name]]) for name, rule in rules.items()]).sum()

    return penalty if rules else None


def _constrain(trace: Trace) -> Callable[[nn.Module], None] | None:
    rules = {
        name: constraint_from_keras_config(said["class"], said["config"])
        for name, said in training_of(trace).constraints.items()
    }

    @torch.no_grad()
    def constrain(net: nn.Module) -> None:
        places = {pair.keras_name: pair for pair in pairs(trace.layers, net)}
        parameters = dict(net.named_parameters())
        for name, rule in rules.items():
            pair = places[name]
            turned = parameters[pair.torch_name].view(pair.turned_shape)
            in_keras_order = turned.permute(*np.argsort(pair.axes).tolist())
            in_keras_order.copy_(rule(in_keras_order))

    return constrain if rules else None
