"""lightning_module.py: the training as compile() set it up, with Keras's rules or with torch's own."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lightning_impl.keras_semantics.accuracy import BY_SHAPES, Accuracy, accuracy_of
from lightning_impl.keras_semantics.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    classes_of,
    targets_of,
)
from lightning_impl.keras_semantics.profile import Profile
from lightning_impl.keras_semantics.schedules import SCHEDULES
from porting.carry_over.optimizer import KerasOptimizerFound
from porting.convert.compiled import Compiled, Rule, keras_axes
from porting.convert.conversion import Conversion
from porting.convert.plain_torch import torch_loss, torch_optimizer
from porting.emit.source_format import formatted

TEMPLATES = Environment(
    loader=PackageLoader("porting.convert"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)

# What brings the net's outputs to what Keras's metrics see.
_ENDS = {"softmax": ".softmax(1)", "sigmoid": ".sigmoid()", None: ""}
_LOSS = "Callable[[Tensor, Tensor, Tensor | None], Tensor]"


@dataclass(frozen=True)
class _Argument:
    name: str
    type: str
    default: str
    says: str


def lightning_module(
    conversion: Conversion, compiled: Compiled, profile: Profile, plain: bool
) -> tuple[str, list[str]]:
    """The source, formatted, and what differs from Keras's training, a sentence each.

    Args:
        conversion: The model.
        compiled: Its training.
        profile: The Keras generation whose rules hold.
        plain: With torch's own optimizer and loss instead of Keras's.
    """
    optimizer, loss = compiled.optimizer, compiled.loss
    schedule = None if optimizer is None else _schedule(optimizer)
    says: list[str] = []
    own_optimizer = own_loss = None
    if plain and optimizer is not None:
        own_optimizer, more = torch_optimizer(optimizer)
        says += more
    if plain and loss is not None:
        own_loss, more = torch_loss(loss)
        says += more
    if plain and compiled.constraints:
        says.append("D34: the constraints are left out.")
    if plain and compiled.goes_on:
        says.append("The optimizer's state is left out: torch's optimizers keep another.")
    context = {
        "plain": plain,
        "model": conversion.source.class_name,
        "profile": profile.name,
        "frozen": compiled.frozen,
        "frozen_norms": compiled.frozen_norms,
        "regularizers": _regularizers(compiled, profile, plain),
        "constraints": [] if plain else [_constraint(rule) for rule in compiled.constraints],
        "schedule": None if plain else schedule,
        "schedule_class": None if schedule is None else schedule.partition("(")[0],
        "steps": 0 if optimizer is None or not optimizer.scalars else optimizer.steps,
        "carries_on": compiled.goes_on and not plain,
        "arguments": _arguments(compiled, plain, own_optimizer),
        "optimizer": None if optimizer is None else _optimizer(optimizer),
        "torch_optimizer": own_optimizer,
        "loss": None if loss is None else _loss(loss, profile),
        "accuracy": None if compiled.accuracy is None else _accuracy(compiled.accuracy, plain),
        "ends_in": "" if compiled.accuracy is None else _ENDS[compiled.accuracy.ends_in],
        "functions": "\n\n".join(_functions(own_loss, compiled)) if plain else "",
        "loss_class": type(loss).__name__ if loss is not None else "Loss",
        "torch_loss": own_loss,
    }
    template = "plain_torch.py.jinja" if plain else "keras_rules.py.jinja"
    return formatted(TEMPLATES.get_template(template).render(context)), says


def required_arguments(compiled: Compiled, plain: bool) -> list[str]:
    """The arguments that the training cannot do without."""
    own = None
    if plain and compiled.optimizer is not None:
        own, _ = torch_optimizer(compiled.optimizer)
    return [argument.name for argument in _arguments(compiled, plain, own) if not argument.default]


def _arguments(compiled: Compiled, plain: bool, own_optimizer: str | None) -> list[_Argument]:
    """What the file does not tell, and what a training usually changes."""
    found = []
    optimizer = compiled.optimizer
    if compiled.loss is None:
        takes = "outputs and labels" if plain else "outputs, labels and sample weights or None"
        kind = "Callable[[Tensor, Tensor], Tensor]" if plain else _LOSS
        found.append(_Argument("loss", kind, "", f"Of {takes}: a mean over the batch."))
    if optimizer is None or (plain and own_optimizer is None):
        found.append(
            _Argument("optimizer", "Callable[[Any], Optimizer]", "", "Takes the parameters to train.")
        )
    elif optimizer.learning_rate is not None and (plain or optimizer.schedule is None):
        rate = "As the file's training left it." if compiled.goes_on else "As compile() was given it."
        found.append(_Argument("learning_rate", "float", repr(optimizer.shown_rate), rate))
    if compiled.goes_on and not plain:
        says = "Whether the optimizer goes on from the file's state; False begins it anew."
        found.append(_Argument("carry_on", "bool", "True", says))
    return found


def _optimizer(found: KerasOptimizerFound) -> str:
    rate = "SCHEDULE(0)" if found.schedule is not None else "learning_rate"
    arguments = "".join(f", {name}={value!r}" for name, value in found.arguments.items())
    return f'build_optimizer("{found.name}", PROFILES["{found.profile.name}"], parameters, {rate}{arguments})'


def _schedule(found: KerasOptimizerFound) -> str | None:
    if found.schedule is None:
        return None
    ((name, arguments),) = found.schedule.items()
    assert name in SCHEDULES
    given = {} if found.learning_rate is None else {"initial_learning_rate": found.shown_rate}
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in {**given, **arguments}.items())})"


def _loss(loss: Loss, profile: Profile) -> str:
    given: dict[str, Any] = {}
    if isinstance(loss, CategoricalCrossentropy | BinaryCrossentropy):
        given |= {"label_smoothing": loss.label_smoothing} if loss.label_smoothing else {}
        given |= {"clips": True} if loss.clips else {}
    if isinstance(loss, CategoricalCrossentropy) and loss.sparse and loss.clips:
        given["sparse"] = True
    words = [f"{name}={value!r}" for name, value in given.items()]
    if isinstance(loss, BinaryCrossentropy):
        words.insert(0, f'PROFILES["{profile.name}"]')
    elif not isinstance(loss, CategoricalCrossentropy):
        words.append(f"ends_in={getattr(loss, 'ends_in', None)!r}")
    return f"{type(loss).__name__}({', '.join(words)})"


def _accuracy(accuracy: Accuracy, plain: bool) -> str:
    given: dict[str, Any] = {} if plain or accuracy.ends_in is None else {"ends_in": accuracy.ends_in}
    given |= {"kind": accuracy.kind} if accuracy.kind != BY_SHAPES else {}
    given |= {"threshold": accuracy.threshold} if accuracy.threshold != 0.5 else {}
    words = [f"{name}={value!r}" for name, value in given.items()]
    return "".join(f", {word}" for word in words) if plain else f"Accuracy({', '.join(words)})"


def _functions(loss: str | None, compiled: Compiled) -> list[str]:
    """The source of the functions that a training with torch's own optimizer and loss calls."""
    calls_accuracy = compiled.accuracy is not None
    called = {
        targets_of: calls_accuracy or "targets_of(" in (loss or ""),
        classes_of: "classes_of(" in (loss or ""),
        accuracy_of: calls_accuracy,
    }
    return [inspect.getsource(function) for function, is_called in called.items() if is_called]


def _regularizers(compiled: Compiled, profile: Profile, plain: bool) -> dict[str, list[str]]:
    """The source of each rule, and the parameters that have it."""
    found: dict[str, list[str]] = {}
    for rule in compiled.regularizers:
        found.setdefault(_penalty(rule, profile, plain), []).append(rule.parameter)
    return found


def _penalty(rule: Rule, profile: Profile, plain: bool) -> str:
    factors = {name: float(rule.config.get(name) or 0.0) for name in ("l1", "l2")}
    factors = {name: value for name, value in factors.items() if value}
    if plain:
        terms = {"l1": "weight.abs().sum()", "l2": "weight.square().sum()"}
        total = " + ".join(f"{value!r} * {terms[name]}" for name, value in factors.items())
        return f"lambda weight: {total or 'weight.sum() * 0'}"
    arguments = "".join(f", {name}={value!r}" for name, value in factors.items())
    return f'l1_l2(PROFILES["{profile.name}"]{arguments})'


def _constraint(rule: Rule) -> dict[str, Any]:
    return {
        "parameter": rule.parameter,
        "class_name": rule.class_name,
        "config": repr(dict(rule.config)),
        "keras_axes": keras_axes(rule.axes),
    }
