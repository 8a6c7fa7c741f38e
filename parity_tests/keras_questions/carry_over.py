"""Trainings that Keras saves in the middle and goes on with: what a port must do after the save."""

from __future__ import annotations

import json

import numpy as np

from keras_reference import record
from keras_reference.models import final, plain, v3

SEED = 5
# Nets by name: made of keras, classes and the images' size.
NETS = {
    "v3": v3.build,
    "plain": lambda keras, classes, size: plain.build(keras, classes, size, filters=(4, 6), dense=(9,)),
    **{
        name: lambda keras, classes, size, name=name: final.build(keras, classes, size, name)
        for name in final.BACKBONES
    },
}


def go_on(keras, case, dtype, before, labels_before, after, labels_after, at_step, paths):
    """Trains a net on some batches, saves it, and trains on.

    Args:
        keras: The package.
        case: JSON, a dict: `net` of NETS; `stage`, "first" or "second" with `first_trained`, absent for the
            whole net; `optimizer`, its class, `arguments` and, for a schedule, `schedule` with its class and
            arguments; `rate`, a learning rate set before the save.
        dtype: float32 or float64.
        before: `(steps, N, H, W, 3)`, the batches before the save, as the net takes them.
        labels_before: `(steps, N)`.
        after: Those after it.
        labels_after: Theirs.
        at_step: After how many of these the state is read, the end apart.
        paths: Where the file is saved, once each.

    Returns:
        "loss" and "rate" of the steps after the save; "saved|...", "middle|..." and "end|...": weights
        "layer/weight" and slots "layer/weight/slot" at the save, after `at_step` steps and at the end.
    """
    case, dtype = json.loads(str(case)), str(dtype)
    record.choose_dtype(keras, dtype)
    model = _compiled(keras, case, before, labels_before, dtype)
    masks = record.install_masks(keras, record.layers_of(model), before.shape[1], SEED, {})
    # The graph's own losses and rates: a schedule's, computed outside of it, may differ in the last bit.
    tapes = record.Tapes(keras, model, None, record.layers_of(model))
    for step, (images, labels) in enumerate(zip(before, labels_before, strict=True)):
        _step(model, masks, step, images, labels)
    if case.get("rate"):
        model.optimizer.learning_rate.assign(case["rate"])
    for path in paths:
        model.save(str(path))
    states = {"saved": _state(model)}
    losses, rates = [], []
    for step, (images, labels) in enumerate(zip(after, labels_after, strict=True), 1):
        _step(model, masks, len(before) + step - 1, images, labels)
        losses.append(float(tapes.loss.numpy()))
        rates.append(float(tapes.learning_rate.numpy()))
        if step == at_step:
            states["middle"] = _state(model)
    states["end"] = _state(model)
    arrays = {f"{when}|{name}": array for when, state in states.items() for name, array in state.items()}
    return {**arrays, "loss": np.array(losses), "rate": np.array(rates)}


def _compiled(keras, case, images, labels, dtype):
    # Statistics are taken in training, where stochastic depth drops.
    keras.utils.set_random_seed(SEED)
    size = tuple(int(side) for side in images.shape[2:4])
    model = NETS[case["net"]](keras, int(labels.max()) + 1, size)
    for layer in record.layers_of(model):
        layer.set_weights(list(_drawn(layer, dtype)))
        if hasattr(layer, "finalize_state"):
            # Normalization computes with copies of its weights.
            layer.finalize_state()
    if case["net"] in final.BACKBONES:
        _settle(model, images[0])
    if case.get("stage"):
        final.freeze(model, case.get("first_trained") if case["stage"] == "second" else None)
    model.compile(
        optimizer=_optimizer(keras, case), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def _drawn(layer, dtype):
    """Weights from the seed, none zero or one."""
    for name, own in zip(record.short_names(layer), layer.get_weights(), strict=True):
        array = np.asarray(own)
        if array.dtype.kind == "f":
            rule = record.weight_rule(name, array.shape, type(layer).__name__.startswith("Depthwise"))
            if name == "beta":
                rule["center"] = record.CALIBRATED_BETA
            array = record.draw(rule, SEED, f"{layer.name}/{name}", array.shape, dtype)
        yield array


def _settle(model, images):
    """Gives every BatchNormalization the statistics of some images: drawn ones saturate a deep net."""
    normalising = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    kept = [layer.momentum for layer in normalising]
    for layer in normalising:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(normalising, kept, strict=True):
        layer.momentum = momentum


def _optimizer(keras, case):
    home = keras.optimizers.legacy if keras.__name__ == "tf_keras" else keras.optimizers
    arguments = dict(case.get("arguments", {}))
    if case.get("schedule"):
        name, own = case["schedule"]
        arguments["learning_rate"] = getattr(keras.optimizers.schedules, name)(**own)
    return getattr(home, case["optimizer"])(**arguments)


def _step(model, masks, step, images, labels):
    for set_mask in masks:
        set_mask(step)
    model.train_on_batch(images, labels)


def _state(model):
    names = {}
    for layer in record.layers_of(model):
        for short, weight in zip(record.short_names(layer), layer.weights, strict=True):
            names[id(weight)] = (f"{layer.name}/{short}", weight)
    trained = [names[id(weight)] for weight in model.trainable_weights]
    slots, _ = record.optimizer_state(model.optimizer, trained)
    return {name: np.array(weight) for name, weight in names.values()} | slots
