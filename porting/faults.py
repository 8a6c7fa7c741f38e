"""Puts one known difference into a port, as a careless migration would: each takes the case and changes it.

A fault must be caught at its rung (differences.py names it); parity_tests/test_differences.py sees to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_impl.compiled import Batch, CompiledModule
from lightning_impl.keras_semantics.activations import HardSigmoid
from lightning_impl.keras_semantics.callbacks import callbacks_from_keras
from lightning_impl.keras_semantics.layers import BATCH_NORM_EPSILON, BatchNorm, Dropout
from lightning_impl.keras_semantics.optimizers import from_keras_config
from lightning_impl.keras_semantics.profile import PROFILES, Profile
from porting.case import Case, recipe_of_case
from porting.trace import training_of

Fault = Callable[[Case], None]


def other_profile(case: Case) -> Profile:
    (name,) = set(PROFILES) - {case.trace.profile}
    return PROFILES[name]


def layers_of_kind(case: Case, kind: type[nn.Module]) -> list[Any]:
    return [module for module in case.module.modules() if isinstance(module, kind)]


# --- Layers -----------------------------------------------------------------------------------------------


def torch_epsilon(case: Case) -> None:
    for layer in layers_of_kind(case, BatchNorm):
        layer.epsilon = 1e-5


def channels_first_flatten(case: Case) -> None:
    case.module.flatten = nn.Flatten()


def symmetric_padding(case: Case) -> None:
    case.module.conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1).to(_dtype(case))


def torchs_activations(case: Case) -> None:
    case.module.leaky, case.module.gate = nn.LeakyReLU(), other_hard_sigmoid(case)


def other_hard_sigmoid(case: Case) -> nn.Module:
    return HardSigmoid(other_profile(case))


def counted_padding(case: Case) -> None:
    case.module.average = nn.AvgPool2d(3, stride=2, padding=1)


def stride_in_second_convolution(case: Case) -> None:
    first, second = (case.module.get_submodule(name) for name in ("conv1", "conv2"))
    first.stride, second.stride = (1, 1), (2, 2)  # type: ignore[assignment]


def default_constants(case: Case) -> None:
    for layer in layers_of_kind(case, BatchNorm):
        layer.epsilon = BATCH_NORM_EPSILON


def images_not_rescaled(case: Case) -> None:
    case.module.rescaling = nn.Identity()


def frozen_dropout_in_evaluation_mode(case: Case) -> None:
    dropout: Any = case.module.get_submodule("drop_image").eval()
    dropout.train = lambda mode=True: dropout


def other_use_of_training_argument(case: Case) -> None:
    module: Any = case.module
    module.never_train = () if module.never_train else ("bn2",)


def no_convolution_biases(case: Case) -> None:
    for name in ("conv1", "conv2", "conv3", "conv_shortcut"):
        case.module.get_submodule(name).register_parameter("bias", None)


def other_running_variance(case: Case) -> None:
    for layer in layers_of_kind(case, BatchNorm):
        keras_rule = layer._running_variance_is_unbiased
        layer._running_variance_is_unbiased = lambda features, rule=keras_rule: not rule(features)


def momentum_not_inverted(case: Case) -> None:
    for layer in layers_of_kind(case, BatchNorm):
        layer.decay = layer.momentum


def frozen_layer_in_training_mode(case: Case) -> None:
    for layer in layers_of_kind(case, BatchNorm):
        layer.trainable = True


def kept_share_for_dropped(case: Case) -> None:
    for layer in layers_of_kind(case, Dropout):
        layer.rate = 1 - layer.rate


# --- Loss -------------------------------------------------------------------------------------------------


def softmax_twice(case: Case) -> None:
    recipe = recipe_of_case(case)
    keras_loss = recipe.loss
    recipe.loss = lambda logits, labels, weights: keras_loss(logits.softmax(1), labels, weights)


def clipped_probabilities(case: Case) -> None:
    def loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        probabilities = logits.softmax(1).clamp(1e-7, 1 - 1e-7)
        each = nn.functional.nll_loss(probabilities.log(), labels, reduction="none")
        return (each if weights is None else each * weights).sum() / len(labels)

    recipe_of_case(case).loss = loss


def no_label_smoothing(case: Case) -> None:
    def loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        each = nn.functional.cross_entropy(logits, labels, reduction="none")
        return (each if weights is None else each * weights).sum() / len(labels)

    recipe_of_case(case).loss = loss


def divided_by_the_weights(case: Case) -> None:
    recipe = recipe_of_case(case)
    keras_loss = recipe.loss

    def loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        value = keras_loss(logits, labels, weights)
        return value if weights is None else value * len(labels) / weights.sum()

    recipe.loss = loss


def half_penalty(case: Case) -> None:
    recipe = recipe_of_case(case)
    keras_penalty = recipe.penalty
    assert keras_penalty is not None
    recipe.penalty = lambda net: keras_penalty(net) / 2


def no_class_weights(case: Case) -> None:
    recipe_of_case(case).class_weight = None


# --- Optimizer --------------------------------------------------------------------------------------------


def _take(case: Case, make: Callable[[Iterable[nn.Parameter], float], Optimizer]) -> None:
    rate = float(training_of(case.trace).optimizer["config"]["learning_rate"])
    recipe_of_case(case).make_optimizer = lambda parameters: make(parameters, rate)


def _reconfigure(case: Case, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    said = training_of(case.trace).optimizer
    config, profile = change(dict(said["config"])), PROFILES[case.trace.profile]
    recipe_of_case(case).make_optimizer = lambda parameters: from_keras_config(
        said["class"], config, profile, parameters
    )


def other_generations_optimizer(case: Case) -> None:
    said, profile = training_of(case.trace).optimizer, other_profile(case)
    kept = {name: said["config"][name] for name in ("learning_rate", "epsilon")}
    recipe_of_case(case).make_optimizer = lambda parameters: from_keras_config(
        said["class"], kept, profile, parameters
    )


def schedule_by_epoch(case: Case) -> None:
    recipe, training = recipe_of_case(case), training_of(case.trace)
    keras_schedule = recipe.schedule
    assert keras_schedule is not None
    steps_an_epoch = training.steps // training.epochs_run
    recipe.schedule = lambda step: keras_schedule(step // steps_an_epoch)


def torch_nadam(case: Case) -> None:
    _take(case, lambda parameters, rate: torch.optim.NAdam(parameters, rate, eps=1e-7))


def torch_adam(case: Case) -> None:
    _take(case, lambda parameters, rate: torch.optim.Adam(parameters, rate, eps=1e-7))


def torch_rmsprop(case: Case) -> None:
    _take(case, lambda parameters, rate: torch.optim.RMSprop(parameters, rate, alpha=0.9, eps=1e-7))


def no_decay(case: Case) -> None:
    _reconfigure(case, lambda config: config | {"decay": 0.0})


def coupled_weight_decay(case: Case) -> None:
    decay = training_of(case.trace).optimizer["config"]["weight_decay"]
    _reconfigure(case, lambda config: config | {"weight_decay": None})
    make = recipe_of_case(case).make_optimizer

    def coupled(parameters: Iterable[nn.Parameter]) -> Optimizer:
        optimizer = make(parameters)

        def add_decay(optimizer: Optimizer, arguments: Any, named: Any) -> None:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.grad.add_(parameter.detach(), alpha=decay)

        optimizer.register_step_pre_hook(add_decay)
        return optimizer

    recipe_of_case(case).make_optimizer = coupled


def norm_over_all_tensors(case: Case) -> None:
    _reconfigure(case, lambda config: config | {"clipnorm": None, "global_clipnorm": config["clipnorm"]})


def no_constraints(case: Case) -> None:
    recipe_of_case(case).constrain = None


# --- The whole training -----------------------------------------------------------------------------------


def _change_callback(case: Case, class_name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    profile = PROFILES[case.trace.profile]
    said = [
        each | {"config": change(dict(each["config"]))} if each["class"] == class_name else each
        for each in training_of(case.trace).callbacks
    ]
    recipe_of_case(case).callbacks = lambda: callbacks_from_keras(said, profile)


def plateau_one_epoch_late(case: Case) -> None:
    _change_callback(case, "ReduceLROnPlateau", lambda config: config | {"patience": config["patience"] + 1})


def relative_threshold(case: Case) -> None:
    # As a share of a best loss near 10.
    _change_callback(
        case, "ReduceLROnPlateau", lambda config: config | {"min_delta": 10 * config["min_delta"]}
    )


def last_weights_kept(case: Case) -> None:
    _change_callback(case, "EarlyStopping", lambda config: config | {"restore_best_weights": False})


class UnweightedFigures(CompiledModule):
    """Means over the batches, a short one counting as a full one."""

    def _log(self, figures: dict[str, Tensor], batch: Batch) -> None:
        self.log_dict(figures, on_step=False, on_epoch=True, batch_size=1)


def unweighted_figures(case: Case) -> None:
    recipe_of_case(case).module_class = UnweightedFigures


class NeverFinalized(CompiledModule):
    """Ends with the weights of the last step."""

    def on_fit_start(self) -> None:
        pass


def averages_left_in_the_optimizer(case: Case) -> None:
    recipe_of_case(case).module_class = NeverFinalized


def short_batch_dropped(case: Case) -> None:
    recipe_of_case(case).drop_last = True


def _dtype(case: Case) -> torch.dtype:
    return getattr(torch, case.trace.dtype)
