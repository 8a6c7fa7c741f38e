"""Builds, saves and runs the cases of parity_tests/rule_cases in Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from parity_tests.rule_cases import cases_for
from parity_tests.rule_cases.case import draw_cotangent, draw_weight, noise_statistics

# What the reader calls a weight, where it is not what Keras calls it.
_OTHER_NAMES = {"depthwise_kernel": "kernel"}


def run(keras, family, folder, dtype):
    """Every case of a family that this generation has.

    Args:
        keras: The package.
        family: Of parity_tests/rule_cases.
        folder: Takes a file a case.
        dtype: float32 or float64.

    Returns:
        By case, as "case|what": "output"; gradients in inference of the sum of the output's product with
        `draw_cotangent`: "input0" …, and "layer/kernel" of trained weights. Of a case that Keras fails:
        "error".
    """
    profile = "tf2.4" if keras.__name__ == "tf_keras" else "keras3"
    _set_dtype(keras, str(dtype))
    answer = {}
    formats_seen = set()
    for case in cases_for(str(family), profile, str(dtype)):
        try:
            model = case.model(keras)
            _perturb(model)
            # One case of each layer is saved in the other format, too.
            formats = sorted(case.formats, reverse=profile == "keras3")
            for suffix in formats[: 1 if case.layer in formats_seen else 2]:
                model.save(str(Path(str(folder)) / f"{case.name}.{suffix}"))
            formats_seen.add(case.layer)
            found = _run(model, case, str(dtype))
        except Exception as error:
            found = {"error": np.array(f"{type(error).__name__} {error}")}
        answer.update({f"{case.name}|{what}": value for what, value in found.items()})
    return answer


def _set_dtype(keras, dtype):
    keras.backend.set_floatx(dtype)
    if keras.__name__ == "keras":
        keras.config.set_dtype_policy(dtype)


def _weights(model, path=()):
    """(path, name, variable) of every layer that is no model."""
    for layer in model.layers:
        here = (*path, layer.name)
        if hasattr(layer, "layers"):
            yield from _weights(layer, here)
            continue
        if type(layer).__name__ in _PARTS:
            yield from (("/".join((*here, name)), weight) for name, weight in _inside(layer))
            continue
        for weight in layer.weights:
            name = weight.name.split("/")[-1].split(":")[0]
            if type(layer).__name__.startswith("Depthwise"):
                name = _OTHER_NAMES.get(name, name)
            if type(layer).__name__ == "LayerScale":
                name = "gamma"
            yield "/".join((*here, name)), weight


# The layers inside a layer, by the reader's names for them.
_PARTS = {
    "TimeDistributed": {"layer": "layer"},
    "Bidirectional": {"forward_layer": "forward_layer", "backward_layer": "backward_layer"},
    "MultiHeadAttention": {
        "query": "_query_dense",
        "key": "_key_dense",
        "value": "_value_dense",
        "attention_output": "_output_dense",
    },
}


def _inside(layer):
    """(name, variable) of the weights of the layers inside a layer, in Keras's order."""
    if type(layer).__name__ not in _PARTS:
        for weight in layer.weights:
            yield weight.name.split("/")[-1].split(":")[0], weight
    for name, attribute in _PARTS.get(type(layer).__name__, {}).items():
        for inner, weight in _inside(getattr(layer, attribute)):
            yield f"{name}/{inner}", weight


def _perturb(model):
    for number, (name, weight) in enumerate(_weights(model)):
        weight.assign(draw_weight(name, weight.shape, number).astype(str(np.asarray(weight).dtype)))
    for layer in model.layers:
        # Normalization computes with what it has made of its weights.
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def _run(model, case, dtype):
    import tensorflow

    inputs = [tensorflow.constant(array, dtype) for array in case.draw_inputs()]
    trained = {id(weight) for weight in model.trainable_weights}
    weights = {name: weight for name, weight in _weights(model) if id(weight) in trained}
    with tensorflow.GradientTape() as tape:
        for tensor in inputs:
            tape.watch(tensor)
        output = model(inputs if len(inputs) > 1 else inputs[0], training=False)
        cotangent = tensorflow.constant(draw_cotangent(output.shape), output.dtype)
        total = tensorflow.reduce_sum(output * cotangent)
    # Keras 3's variables wrap TensorFlow's.
    is_wrapped = type(model).__module__.startswith("keras.")
    sources = [*inputs, *(weight.value if is_wrapped else weight for weight in weights.values())]
    gradients = tape.gradient(total, sources, unconnected_gradients="zero")
    names = [f"input{place}" for place in range(len(inputs))] + list(weights)
    # That of an Embedding comes as the rows that were taken.
    whole = [tensorflow.convert_to_tensor(gradient) for gradient in gradients]
    found = {name: np.asarray(value) for name, value in zip(names, whole, strict=True)}
    return {"output": np.asarray(output), **found}


def train(keras, family, folder, layers, dtype):
    """One call in training of every case of some layers.

    Args:
        keras: The package.
        family: Of parity_tests/rule_cases.
        folder: Takes a file a case, of the model before the call.
        layers: Names of classes, with commas between them.
        dtype: float32 or float64.

    Returns:
        By case: "output", "input0", the gradient, and "layer/moving_mean" …, every weight after the call.
    """
    import tensorflow

    _set_dtype(keras, str(dtype))
    profile, answer = "tf2.4" if keras.__name__ == "tf_keras" else "keras3", {}
    for case in cases_for(str(family), profile, str(dtype)):
        if case.layer not in str(layers).split(","):
            continue
        model = case.model(keras)
        _perturb(model)
        model.save(str(Path(str(folder)) / f"{case.name}.keras"))
        (features,) = (tensorflow.constant(array, str(dtype)) for array in case.draw_inputs())
        with tensorflow.GradientTape() as tape:
            tape.watch(features)
            output = model(features, training=True)
            total = tensorflow.reduce_sum(output * draw_cotangent(output.shape).astype(str(dtype)))
        answer[f"{case.name}|output"] = np.asarray(output)
        answer[f"{case.name}|input0"] = np.asarray(tape.gradient(total, features))
        answer.update({f"{case.name}|{name}": np.asarray(weight) for name, weight in _weights(model)})
    return answer


def noise(keras, family, folder, layers, batch):
    """The `noise_statistics` of layers that draw numbers in training, on inputs that are all 2."""
    profile, answer = "tf2.4" if keras.__name__ == "tf_keras" else "keras3", {}
    keras.utils.set_random_seed(0)
    for case in cases_for(str(family), profile, "float32"):
        if case.layer in str(layers).split(","):
            model = case.model(keras)
            model.save(str(Path(str(folder)) / f"{case.name}.keras"))
            features = np.full((int(batch), *case.sizes[0]), 2.0, "float32")
            answer[case.name] = noise_statistics(np.asarray(model(features, training=True)))
    return answer


def spread(keras, family, folder, batch):
    """The outputs in training on inputs that are all 0.3, of every case of a family, in float32."""
    _set_dtype(keras, "float32")
    profile, answer = "tf2.4" if keras.__name__ == "tf_keras" else "keras3", {}
    keras.utils.set_random_seed(0)
    for case in cases_for(str(family), profile, "float64"):
        model = case.model(keras)
        _perturb(model)
        model.save(str(Path(str(folder)) / f"{case.name}.keras"))
        answer[case.name] = np.asarray(
            model(np.full((int(batch), *case.sizes[0]), 0.3, "float32"), training=True)
        )
    return answer
