"""What compile() gave the model and what its layers add to the loss, in the words of a converted model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.accuracy import BY_SHAPES, KINDS, Accuracy
from lightning_impl.keras_semantics.constraints import constraint_from_keras_config
from lightning_impl.keras_semantics.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    loss_from_keras_config,
)
from lightning_impl.keras_semantics.optimizers import build_optimizer
from lightning_impl.keras_semantics.optimizers.build import name_and_arguments
from lightning_impl.keras_semantics.profile import KERAS3, TF24, Profile
from lightning_impl.keras_semantics.regularizers import regularizer_from_keras_config
from lightning_impl.keras_semantics.schedules import schedule_from_keras_config
from parity_common.command_errors import UserError
from porting.carried_weights import layers_of
from porting.carry_over.net import trained_in_file
from porting.carry_over.optimizer import KerasOptimizerFound, is_of_tf_2_11, optimizer_of
from porting.convert.conversion import Conversion
from porting.emit.state import module_of
from porting.graph import Layer, LayerPath
from porting.keras_file import KerasFile, OptimizerState
from porting.keras_file.problems import shown

# Keras's names, and what they mean here.
_ACCURACIES = {"acc": BY_SHAPES, **{kind: kind for kind in KINDS}}
_LOGGED = "loss and accuracy are logged"
_MEANS = (None, "auto", "sum_over_batch_size")
# By the layer's argument: the weight.
_WEIGHTS = {"depthwise": "depthwise_kernel", "pointwise": "pointwise_kernel", "recurrent": "recurrent_kernel"}


@dataclass(frozen=True)
class Rule:
    """A regulariser or a constraint of one weight.

    Attributes:
        parameter: Its name in the net.
        class_name: Keras's.
        config: Keras's.
        axes: `torch = keras.transpose(axes)`.
    """

    parameter: str
    class_name: str
    config: Mapping[str, Any]
    axes: tuple[int, ...]


@dataclass
class Compiled:
    """A file's training.

    Attributes:
        loss: None where it has no rule here or the model was not compiled.
        accuracy: What it means of what Keras's model gives; None where compile() asks for none.
        optimizer: None where the file has none that can go on.
        slots: Parameter to slot to tensor: the optimizer's state.
        regularizers: Of the weights.
        constraints: Of the weights.
        frozen: The modules of layers that are not trained.
        frozen_norms: Those of them that are BatchNormalization, which then is in inference mode (D11).
        left: What is not carried over, a sentence each.
    """

    loss: Loss | None = None
    accuracy: Accuracy | None = field(default_factory=Accuracy)
    optimizer: KerasOptimizerFound | None = None
    slots: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    regularizers: list[Rule] = field(default_factory=list)
    constraints: list[Rule] = field(default_factory=list)
    frozen: list[str] = field(default_factory=list)
    frozen_norms: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        """Whether the optimizer goes on from the file's state, which of some is the number of steps alone."""
        return self.optimizer is not None and bool(self.optimizer.scalars)


def compiled_of(conversion: Conversion, profile: Profile) -> Compiled:
    """Reads a converted file's training; what cannot be carried over is said, not guessed."""
    found = Compiled(accuracy=Accuracy(ends_in(conversion)))
    training = conversion.file.training
    if training is None:
        found.left.append("The file holds no compile(): loss and optimizer are arguments of the training.")
    else:
        _add_loss(found, conversion, profile)
        _add_optimizer(found, conversion)
        _add_accuracy(found, conversion)
    layers = dict(conversion.file.graph.walk())
    for path, _ in layers_of(conversion.program):
        _add_layer(found, conversion, path, layers, profile)
    return found


def policies(file: KerasFile) -> Iterator[str]:
    """The policies of mixed precision, under which Keras computes in another dtype than its weights have."""
    stated = {_policy(layer.config.get("dtype")) for _, layer in file.graph.walk()}
    for policy in sorted(name for name in stated if name.startswith("mixed_")):
        precision = "16-mixed" if policy == "mixed_float16" else "bf16-mixed"
        yield (
            f"The policy {policy}: model.py computes in float32, in which it was compared; "
            f'Trainer(precision="{precision}") trains as mixed.'
        )


def _policy(stated: Any) -> str:
    """A layer's dtype policy by its name: a word, or an object (DTypePolicy, Policy, PolicyV1)."""
    config = stated.get("config") if isinstance(stated, Mapping) else None
    name = config.get("name") if isinstance(config, Mapping) else stated
    return name if isinstance(name, str) else ""


def _add_accuracy(found: Compiled, conversion: Conversion) -> None:
    """What fit() reports as accuracy; a classifier that asks for none gets that of its shapes."""
    training = conversion.file.training
    assert training is not None
    ended = ends_in(conversion)
    chosen = None
    for metrics, is_weighted in ((training.metrics, False), (training.weighted_metrics, True)):
        for metric in _flat(metrics):
            kind, threshold, name = _accuracy_of(metric)
            if kind is None:
                found.left.append(f"The metric {name}: {_LOGGED}.")
            elif is_weighted:
                found.left.append(f"The weighted metric {name}: accuracy is logged without sample weights.")
            if kind is not None and chosen is None:
                chosen = Accuracy(ended, kind, threshold)
            elif kind is not None and chosen is not None and (chosen.kind, is_weighted) != (kind, True):
                found.left.append(f"The metric {name}: of several accuracies the first is logged.")
    is_classifier = isinstance(found.loss, CategoricalCrossentropy | BinaryCrossentropy)
    found.accuracy = chosen if chosen is not None or not is_classifier else Accuracy(ended)


def _accuracy_of(metric: Any) -> tuple[str | None, float | None, str]:
    """Which accuracy a metric is, None where it is none, with its threshold; and the metric's name."""
    name, config = _name_of(metric)
    if isinstance(metric, Mapping) and name == BY_SHAPES:
        # The class of that name asks whether outputs are equal to labels.
        return None, None, name
    if name == "mean_metric_wrapper":
        # What compile() made of the word is known by it, another function by its own name.
        words = [word for key in ("name", "fn") if isinstance(word := config.get(key), str)]
        name = next((word for word in words if word in ("acc", BY_SHAPES)), (words or [name])[-1])
    threshold = config.get("threshold")
    return _ACCURACIES.get(name), threshold if isinstance(threshold, int | float) else None, name


def ends_in(conversion: Conversion) -> str | None:
    """The activation that forward stops before: "softmax", "sigmoid", or None."""
    return conversion.source.ends_in


def _add_loss(found: Compiled, conversion: Conversion, profile: Profile) -> None:
    assert conversion.file.training is not None
    stated = conversion.file.training.loss
    outputs = len(conversion.program.outputs)
    weights = conversion.file.training.loss_weights
    why = ""
    if outputs > 1:
        why = f"the model has {outputs} outputs"
    elif not stated:
        why = "compile() was given none"
    elif weights not in (None, [], [1], [1.0], 1):
        why = f"it is weighted by {shown(weights)}"
    if why:
        found.left.append(f"The loss: {why}. It is an argument of the training.")
        return
    name, config = _name_of(_single(stated))
    reduction = config.pop("reduction", None)
    try:
        if isinstance(reduction, str) and reduction.lower() not in _MEANS:
            raise UserError(f"its reduction {reduction} has no rule")
        config.pop("fn", None)
        found.loss = loss_from_keras_config(name, config, ends_in(conversion), profile)
    except UserError as error:
        found.left.append(f"The loss {name}: {error}. It is an argument of the training.")


def _add_optimizer(found: Compiled, conversion: Conversion) -> None:
    file, why = conversion.file, "the file holds none"
    if file.optimizer is not None:
        try:
            optimizer = _with_rate(optimizer_of(file, takes_between=True))
            found.slots = _slots_of(conversion, optimizer)
            found.optimizer = optimizer
            return
        except UserError as error:
            why = str(error).removeprefix(f"{file.path}: ").replace(str(file.path), "the file")
    try:
        found.optimizer = _optimizer_anew(file)
        found.left.append(f"The optimizer's state: {why}. The optimizer begins anew.")
    except UserError as error:
        found.left.append(f"The optimizer: {error}. It is an argument of the training.")


def _optimizer_anew(file: KerasFile) -> KerasOptimizerFound:
    """The optimizer that compile() was given, before its first step.

    Raises:
        UserError: None, or one without a rule.
    """
    training = file.training
    if training is None or training.optimizer is None:
        raise UserError("the file does not say which")
    is_legacy = file.keras_version.startswith(("1", "2")) and not is_of_tf_2_11(file, training)
    # TF 2.11 to 2.15 has the optimizers that Keras 3 has.
    profile = TF24 if is_legacy else KERAS3
    name, arguments = name_and_arguments(training.optimizer, training.optimizer_config, profile)
    rate, schedule = arguments.pop("learning_rate"), None
    if isinstance(rate, Mapping):
        schedule_from_keras_config(rate)
        own = {key: value for key, value in rate["config"].items() if key != "name"}
        schedule = {rate["class_name"].rpartition(">")[2]: own}
        rate = own.pop("initial_learning_rate", None)
    build_optimizer(name, profile, [nn.Parameter(torch.zeros(1))], rate or 1.0, **arguments)
    return _with_rate(KerasOptimizerFound(profile, name, arguments, rate, schedule, {}, OptimizerState()))


def _with_rate(optimizer: KerasOptimizerFound) -> KerasOptimizerFound:
    if optimizer.schedule is None and not isinstance(optimizer.learning_rate, int | float):
        raise UserError(f"its learning_rate {shown(optimizer.learning_rate)} is no number")
    return optimizer


def _slots_of(conversion: Conversion, optimizer: KerasOptimizerFound) -> dict[str, dict[str, Tensor]]:
    trained = trained_in_file(conversion.file)
    pieces = dict(layers_of(conversion.program))
    slots: dict[str, dict[str, Tensor]] = {}
    for slot, arrays in optimizer.state.slots.items():
        if set(arrays) != trained:
            raise UserError("its state is of other weights than the layers that the file says are trained")
        for (path, weight), array in arrays.items():
            place = pieces[path].weights[weight]
            name = f"{module_of(conversion.source, path)}.{place.attribute}"
            slots.setdefault(name, {})[slot] = torch.from_numpy(place.carried(array.read()))
    return slots


def _add_layer(
    found: Compiled,
    conversion: Conversion,
    path: LayerPath,
    layers: Mapping[LayerPath, Layer],
    profile: Profile,
) -> None:
    layer = layers[path]
    if (path, "") not in conversion.source.places:
        return
    module = module_of(conversion.source, path)
    is_trained = all(layers[path[:end]].trainable for end in range(1, len(path) + 1))
    if not is_trained and conversion.tensors.get(path):
        found.frozen.append(module)
        if layer.class_name == "BatchNormalization":
            found.frozen_norms.append(module)
    for key, value in layer.config.items():
        kind = key.rpartition("_")[2]
        # Keras takes the penalties and constraints of what it trains alone.
        if value is None or kind not in ("regularizer", "constraint") or not is_trained:
            continue
        argument = key.removesuffix(f"_{kind}")
        try:
            rule = _rule(conversion, path, module, _WEIGHTS.get(argument, argument), value)
            if kind == "regularizer":
                regularizer_from_keras_config(rule.class_name, rule.config, profile)
                found.regularizers.append(rule)
            else:
                constraint_from_keras_config(rule.class_name, rule.config)
                found.constraints.append(rule)
        # The last two: a number that is a list or a text.
        except (UserError, TypeError, ValueError) as error:
            found.left.append(f"The {key} of {'/'.join(path)}: {error}.")


def _rule(conversion: Conversion, path: LayerPath, module: str, weight: str, value: Any) -> Rule:
    place = dict(layers_of(conversion.program))[path].weights.get(weight)
    stated = {"class_name": value} if isinstance(value, str) else value
    if not isinstance(stated, Mapping) or not isinstance(stated.get("class_name"), str):
        raise UserError(f"{shown(value)} names none")
    class_name, config = stated["class_name"], stated.get("config") or {}
    if not isinstance(config, Mapping):
        raise UserError(f"its config {shown(config)} is no mapping")
    if place is None or place.then is not None or not place.attribute:
        raise UserError("there is no rule for it")
    stored = conversion.file.weights[path][weight]
    axes = place.axes or tuple(range(len(stored.shape)))
    return Rule(f"{module}.{place.attribute}", class_name, dict(config), axes)


def _single(stated: Any) -> Any:
    """What the only output was given: alone, in a list, or by its name."""
    if isinstance(stated, list) and len(stated) == 1:
        return stated[0]
    if isinstance(stated, Mapping) and len(stated) == 1 and "class_name" not in stated:
        return next(iter(stated.values()))
    return stated


def _name_of(stated: Any) -> tuple[str, dict[str, Any]]:
    """A loss's or metric's name in snake case and its config."""
    config: Any = {}
    if isinstance(stated, Mapping):
        stated, config = stated.get("class_name"), stated.get("config")
        if stated == "function" and isinstance(config, str):
            stated, config = config, {}
    name = re.sub("(?<=[a-z])(?=[A-Z])", "_", str(stated)).lower().rpartition(">")[2]
    return name, dict(config) if isinstance(config, Mapping) else {}


def _flat(stated: Any) -> list[Any]:
    """Metrics from lists in lists and from dicts by output."""
    if stated is None:
        return []
    if isinstance(stated, list):
        return [each for item in stated for each in _flat(item)]
    if isinstance(stated, Mapping) and "class_name" not in stated:
        return [each for item in stated.values() for each in _flat(item)]
    return [stated]


def keras_axes(axes: tuple[int, ...]) -> tuple[int, ...]:
    """What brings a torch weight back into Keras's order."""
    return tuple(int(axis) for axis in np.argsort(axes))
