"""A net with what Keras's `compile` gives it: loss, accuracy, optimizer, regularisers, constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_impl.keras_semantics.accuracy import accuracy_of_logits
from lightning_impl.keras_semantics.callbacks import FinalizeVariables
from lightning_impl.keras_semantics.schedules import FollowSchedule, Schedule

# Inputs, labels and, where examples weigh differently, sample weights.
Batch = tuple[Tensor, ...]


def at_least_single(values: Tensor) -> Tensor:
    """In float32 where they are of less, which no figure can be made of; else as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class CompiledModule(LightningModule):
    """Trains and validates a net as Keras's `fit` does a compiled model.

    A batch is inputs, labels and, where examples weigh differently, sample weights `(N,)`. Labels are class
    numbers `(N,)` or `(N, 1)`, or targets as the outputs, such as one-hot ones. Logged are `loss` and
    `accuracy`, in validation `val_loss` and `val_accuracy`: means over the epoch's examples, in training
    each taken while the weights still change (keras 3.15 trainers/trainer.py, `_loss_tracker`).

    Args:
        net: Takes inputs, gives logits `(N, classes)`.
        loss: Of logits, labels and sample weights or None: a mean over the batch's examples.
        make_optimizer: Takes the parameters to train.
        class_weight: By label, in training only. None: all 1.
        penalty: Added to the loss in training and validation, as regularisers are; or None.
        constrain: Called after each step, as constraints are; or None.
        schedule: The learning rate by step, from 0; None where it is the optimizer's own.
        accuracy: Of what the net gives and labels, such as Keras's; None: only the loss is logged. Default:
            of logits, of a single output that of a sigmoid behind it.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: Callable[[Tensor, Tensor, Tensor | None], Tensor],
        make_optimizer: Callable[[Any], Optimizer],
        class_weight: Mapping[int, float] | None = None,
        penalty: Callable[[], Tensor] | None = None,
        constrain: Callable[[], None] | None = None,
        schedule: Schedule | None = None,
        accuracy: Callable[[Tensor, Tensor], Tensor] | None = accuracy_of_logits,
    ) -> None:
        super().__init__()
        self.net = net
        self.loss = loss
        self.make_optimizer = make_optimizer
        self.class_weight = class_weight
        self.penalty = penalty
        self.constrain = constrain
        self.schedule = schedule
        self.accuracy = accuracy

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs to logits `(N, classes)`."""
        return self.net(inputs)

    def training_step(self, batch: Batch, batch_number: int) -> Tensor:
        loss, accuracy = self.loss_and_accuracy(batch, self.class_weight)
        self._log(_named("", loss, accuracy), batch)
        return loss

    def validation_step(self, batch: Batch, batch_number: int) -> None:
        loss, accuracy = self.loss_and_accuracy(batch)
        self._log(_named("val_", loss, accuracy), batch)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        # Keras's optimizers hold what is trained alone: nothing decays a frozen weight.
        optimizer = self.make_optimizer(
            [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        )
        if self.schedule is None:
            return optimizer
        follow = FollowSchedule(optimizer, self.schedule)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": follow, "interval": "step"}}

    def on_fit_start(self) -> None:
        # Keras's fit() ends with it, whoever trains: before the callbacks' on_train_end.
        if not any(isinstance(each, FinalizeVariables) for each in self.trainer.callbacks):  # type: ignore[attr-defined]
            self.trainer.callbacks.insert(0, FinalizeVariables())  # type: ignore[attr-defined]

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        super().optimizer_step(*arguments, **named)
        if self.constrain is not None:
            self.constrain()

    def loss_and_accuracy(
        self, batch: Batch, class_weight: Mapping[int, float] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The batch's loss, penalties in it, and the share that is right, None where none is asked for."""
        inputs, labels = batch[0], batch[1]
        weights = batch[2] if len(batch) == 3 else None
        # bfloat16 knows 66.8%, and not two thirds.
        outputs = at_least_single(self(inputs))
        if class_weight is not None:
            of_class = _weights_of(class_weight, outputs, labels)
            weights = of_class if weights is None else weights * of_class
        loss = self.loss(outputs, labels, weights)
        if self.penalty is not None:
            loss = loss + self.penalty()
        return loss, None if self.accuracy is None else self.accuracy(outputs.detach(), labels)

    def _log(self, figures: dict[str, Tensor], batch: Batch) -> None:
        # Over several processes values and examples are averaged apart, so that the mean is that of one
        # process; but Lightning 2.6 averages a whole number of examples to a whole number.
        count: Any = float(len(batch[1]))
        self.log_dict(figures, on_step=False, on_epoch=True, prog_bar=True, batch_size=count, sync_dist=True)


def _named(prefix: str, loss: Tensor, accuracy: Tensor | None) -> dict[str, Tensor]:
    figures = {f"{prefix}loss": loss}
    return figures if accuracy is None else {**figures, f"{prefix}accuracy": accuracy}


def _weights_of(class_weight: Mapping[int, float], outputs: Tensor, labels: Tensor) -> Tensor:
    """A weight an example; targets `(N, classes)` are of the class of the largest, as Keras has it."""
    is_numbers = labels.dim() == 1 or labels.shape[1] == 1
    classes = labels.reshape(len(labels)).long() if is_numbers else labels.argmax(1)
    count = max(outputs.shape[1], 2, *(label + 1 for label in class_weight))
    by_label = torch.ones(count, dtype=outputs.dtype, device=outputs.device)
    for label, weight in class_weight.items():
        by_label[label] = weight
    return by_label[classes]
