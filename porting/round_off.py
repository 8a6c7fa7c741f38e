"""Which numbers of a training only round-off decides, so that no two implementations agree on them.

Adam and its kin divide a gradient by its own size. Where a gradient is itself round-off, or by chance about
as small as epsilon, the quotient says nothing of the model: a last bit of the gradient moves the parameter by
up to learning rate / epsilon times that bit. Such elements are named here, from what Keras did alone, and
held to a tolerance of their own; all others keep theirs (docs/differences.md, D29).
"""

from __future__ import annotations

import numpy as np

from porting.trace import Trace, training_of

# float64: at a first gradient g Adam divides by sqrt(0.001) |g| + 1e-7, so that epsilon counts as e = 3.2e-6.
# An error d of the gradient then moves the step by lr d e / (|g| + e)^2. With lr = 1e-3 and d = 1e-15, as
# measured on v1's dense kernel, that is 1.2e-14 at its |g| = 1.3e-5, 1.2e-12 of the kernel's largest value,
# 0.01 (1.7e-12 was seen). From ten times e on it is below 3e-13.
# float32: a hundred times what gradients were measured to be off there at the second step, 9e-6.
SMALL_GRADIENT = {"float64": 3e-5, "float32": 1e-3}


def biases_before_batch_norm(trace: Trace) -> set[str]:
    """The biases that a BatchNormalization takes away again, "conv1/bias".

    Their gradient in training is zero but for round-off. They drift apart in any two runs, the moving mean
    follows them, and no output changes.
    """
    return {f"{before}/bias" for before in _normalised_layers(trace).values()}


def undecided_by_keras(trace: Trace, name: str) -> np.ndarray:
    """Which elements of a parameter or statistic, "conv1/kernel", round-off decides: booleans of its shape.

    These are biases before a BatchNormalization, in float32 also the moving means that follow them, and
    elements that had a small gradient, not zero, at one of the steps recorded whole.
    """
    shape = tuple(trace.entries[f"weights/{name}"]["shape"])
    layer, _, weight = name.rpartition("/")
    follows = weight == "moving_mean" and trace.dtype == "float32" and layer in _normalised_layers(trace)
    if follows or name in biases_before_batch_norm(trace):
        return np.ones(shape, dtype=bool)
    undecided = np.zeros(shape, dtype=bool)
    for step in range(1, training_of(trace).update_steps + 1):
        place = f"step/{step}/gradient/{name}"
        if place in trace.entries:
            size = np.abs(trace.array(place))
            undecided |= (size > 0) & (size < SMALL_GRADIENT[trace.dtype])
    return undecided


def share_undecided(trace: Trace) -> float:
    """How many of the trained parameters round-off decides, of 1."""
    names = trace.names("final/parameter/")
    undecided = [undecided_by_keras(trace, name) for name in names]
    return float(sum(each.sum() for each in undecided) / sum(each.size for each in undecided))


def _normalised_layers(trace: Trace) -> dict[str, str]:
    """By BatchNormalization, the layer with a bias whose output it takes as it is."""
    found = {}
    by_name = {layer.name: layer for layer in trace.layers}
    for layer in trace.layers:
        if layer.class_name != "BatchNormalization" or len(layer.inputs) != 1:
            continue
        before = by_name.get(layer.inputs[0])
        normalises_batch = any(weight.trainable for weight in layer.weights)
        if before is None or before.activation != "linear" or not normalises_batch:
            continue
        if any(weight.name == "bias" for weight in before.weights):
            found[layer.name] = before.name
    return found
