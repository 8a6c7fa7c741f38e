"""What torch's own optimizers and losses make of a Keras training, and what then still differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lightning_impl.keras_semantics.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss
from lightning_impl.keras_semantics.optimizers import build_optimizer
from porting.carry_over.optimizer import KerasOptimizerFound

# Keras's arguments to torch's: a name, or two for a pair.
_CLASSES: dict[str, tuple[str, dict[str, str]]] = {
    "adadelta": ("Adadelta", {"rho": "rho", "epsilon": "eps"}),
    "adagrad": ("Adagrad", {"initial_accumulator_value": "initial_accumulator_value", "epsilon": "eps"}),
    "adam": ("Adam", {"epsilon": "eps", "amsgrad": "amsgrad"}),
    "adamax": ("Adamax", {"epsilon": "eps"}),
    "adamw": ("AdamW", {"epsilon": "eps", "amsgrad": "amsgrad", "weight_decay": "weight_decay"}),
    "nadam": ("NAdam", {"epsilon": "eps"}),
    "rmsprop": (
        "RMSprop",
        {"rho": "alpha", "epsilon": "eps", "momentum": "momentum", "centered": "centered"},
    ),
    "sgd": ("SGD", {"momentum": "momentum", "nesterov": "nesterov"}),
}
# Numbers of docs/differences.md that remain.
_DIFFERENCES = {
    "adadelta": ("D28",),
    "adagrad": ("D28",),
    "adam": ("D16", "D28"),
    "adamax": ("D16", "D28"),
    "adamw": ("D16", "D28", "D35"),
    "nadam": ("D01", "D16", "D28"),
    "rmsprop": ("D02", "D28"),
    "sgd": ("D28",),
}
# Arguments that torch's optimizers do not have, by what is said of them.
_WITHOUT = {
    "clipnorm": "D30",
    "clipvalue": "",
    "global_clipnorm": "",
    "decay": "D04",
    "use_ema": "",
    "gradient_accumulation_steps": "",
    "ema_overwrite_frequency": "",
}


def torch_optimizer(found: KerasOptimizerFound) -> tuple[str | None, list[str]]:
    """The source of torch's optimizer, None where it has none such, and what then differs."""
    if found.name not in _CLASSES:
        return None, [f"torch has no {found.name}: the optimizer is an argument of the training."]
    class_name, arguments = _CLASSES[found.name]
    rate = found.learning_rate if found.learning_rate is not None else 0.001
    values: Mapping[str, Any] = build_optimizer(
        found.name, found.profile, [nn.Parameter(torch.zeros(1))], rate, **found.arguments
    ).defaults
    given = {theirs: values[ours] for ours, theirs in arguments.items() if values.get(ours) is not None}
    if "beta_1" in values:
        given["betas"] = (values["beta_1"], values["beta_2"])
    made = ", ".join(f"{name}={value!r}" for name, value in given.items())
    says = [f"{number}: the optimizer is torch's {class_name}." for number in _DIFFERENCES[found.name]]
    for argument, number in _WITHOUT.items():
        if values.get(argument):
            says.append(f"{number + ': ' if number else ''}{argument}={values[argument]!r} is left out.")
    if found.schedule:
        says.append(f"D38: the schedule {next(iter(found.schedule))} is left out.")
    return f"torch.optim.{class_name}(parameters, lr=self.learning_rate, {made})", says


def torch_loss(loss: Loss) -> tuple[str, list[str]]:
    """The source of torch's loss of `outputs` and `labels`, and what then differs."""
    if isinstance(loss, CategoricalCrossentropy):
        smoothing = f", label_smoothing={loss.label_smoothing}" if loss.label_smoothing else ""
        outputs = "outputs.clamp(1e-7, 1 - 1e-7).log()" if loss.clips else "outputs"
        # Of probabilities that sum up to 1 the logarithm's softmax is the logarithm again.
        differences = ["D05: the clipped probabilities are scaled to a sum of 1 after the clipping."]
        return (
            f"F.cross_entropy({outputs}, classes_of(outputs, labels){smoothing})",
            differences if loss.clips else [],
        )
    if isinstance(loss, BinaryCrossentropy):
        function = "binary_cross_entropy" if loss.clips else "binary_cross_entropy_with_logits"
        says = ["D05: probabilities are not clipped."] if loss.clips else []
        says += ["D32: the label smoothing is left out."] if loss.label_smoothing else []
        return f"F.{function}(outputs, targets_of(outputs, labels))", says
    ends = {"softmax": ".softmax(1)", "sigmoid": ".sigmoid()", None: ""}[getattr(loss, "ends_in", None)]
    return f"F.mse_loss(outputs{ends}, targets_of(outputs, labels))", []
