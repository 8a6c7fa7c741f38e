"""What a Keras file's compile() says beside the optimizer, and what its layers add to the loss."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lightning_impl.keras_semantics.losses import CategoricalCrossentropy, loss_from_keras_config
from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError
from porting.carry_over.architecture import ends_in_softmax
from porting.keras_file import KerasFile

DTYPES = ("float32", "float64")
_MEANS = (None, "auto", "sum_over_batch_size")


def check_loss(file: KerasFile, profile: Profile) -> None:
    """Refuses any loss but the crossentropy that a fit here has: of logits, with nothing added.

    Args:
        file: With a training.
        profile: The generation that wrote it.

    Raises:
        UserError: Another loss, one with other arguments, weighed, or with a regulariser or a constraint.
    """
    assert file.training is not None
    stated = _single(file.training.loss)
    name, config = stated, {}
    if isinstance(stated, Mapping):
        name, config = stated.get("class_name"), dict(stated.get("config") or {})
    snake = re.sub("(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()
    reduction = config.get("reduction")
    if not isinstance(name, str) or (reduction and reduction.lower() not in _MEANS):
        raise _other(file, f"{name} of reduction {reduction}" if isinstance(name, str) else "no single loss")
    loss = loss_from_keras_config(snake, config, "softmax" if ends_in_softmax(file.graph) else None, profile)
    if not isinstance(loss, CategoricalCrossentropy) or loss.clips or loss.label_smoothing:
        arguments = {key: config[key] for key in ("label_smoothing", "from_logits") if config.get(key)}
        ends = "" if ends_in_softmax(file.graph) else ", of outputs without a softmax"
        raise _other(file, f"{snake}{arguments or ''}{ends}")
    weights = _single(file.training.loss_weights)
    if weights not in (None, 1):
        raise _other(file, f"{snake} times {weights}")
    for layer, key in _additions(file):
        raise UserError(
            f"{file.path} has a {key} in {layer}, for which a fit here has no setting: "
            "train without it, or in Keras"
        )


def dtype_of(file: KerasFile) -> str:
    """What the model computes in: "float32" or "float64".

    Raises:
        UserError: Layers of several dtypes, or a mixed or half precision.
    """
    found = {
        stated_dtype(layer.config.get("dtype"))
        for _, layer in file.graph.walk()
        if layer.class_name != "InputLayer" and layer.graph is None
    } - {None}
    if len(found) > 1 or not found <= set(DTYPES):
        raise UserError(
            f"{file.path} computes in {' and '.join(sorted(map(str, found)))}: "
            "a training goes on exactly in float32 or float64 alone"
        )
    return str(next(iter(found), DTYPES[0]))


def _other(file: KerasFile, loss: str) -> UserError:
    return UserError(
        f"{file.path} was trained with the loss {loss}, and a fit here has categorical_crossentropy of a "
        "softmax: compile the model with it, or start its weights anew with --model.weights of the fit"
    )


def _single(stated: Any) -> Any:
    """What one output was given: alone, in a list, or by the output's name."""
    if isinstance(stated, list) and len(stated) == 1:
        return stated[0]
    if isinstance(stated, Mapping) and len(stated) == 1:
        return next(iter(stated.values()))
    return stated


def _additions(file: KerasFile) -> Iterator[tuple[str, str]]:
    for _, layer in file.graph.walk():
        for key, value in layer.config.items() if layer.graph is None else ():
            if value is not None and key.endswith(("_regularizer", "_constraint")):
                yield layer.name, key


def stated_dtype(stated: Any) -> str | None:
    """A layer's "dtype" as its config has it, the name of a policy object; None where it states none."""
    if isinstance(stated, Mapping):
        config = stated.get("config")
        stated = config.get("name") if isinstance(config, Mapping) else None
    return stated if isinstance(stated, str) else None
