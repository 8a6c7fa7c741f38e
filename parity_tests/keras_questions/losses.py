"""What Keras's losses give, and their gradients, behind a model that ends in a certain way."""

from __future__ import annotations

import json

import numpy as np


def losses(keras, cases, dtype, outputs, labels, weights, several):
    """Every case's loss in a compiled model, and the gradient of what its last operation takes.

    Args:
        keras: The package.
        cases: JSON, a list of dicts: `class` and `arguments` of the loss; `ends_in` softmax, sigmoid, or
            null for a model that gives `outputs` as they are; `weighted`; `one_hot`, whether the targets are.
        dtype: float32 or float64.
        outputs: `(N, classes)`.
        labels: `(N,)` class numbers.
        weights: `(N,)` sample weights.
        several: `(N, classes)` of 0 and 1: targets of `"targets": "several"`.

    Returns:
        "N|loss" and "N|gradient" of case N.
    """
    import tensorflow

    keras.backend.set_floatx(str(dtype))
    if keras.__name__ == "keras":
        keras.config.set_dtype_policy(str(dtype))
    answer = {}
    for number, case in enumerate(json.loads(str(cases))):
        values = tensorflow.Variable(outputs.astype(str(dtype)))
        targets = {
            "one-hot": np.eye(outputs.shape[1])[labels],
            "labels": labels,
            "several": several,
        }[case["targets"]]
        targets = tensorflow.constant(targets.astype(str(dtype)))
        weighing = tensorflow.constant(weights.astype(str(dtype))) if case["weighted"] else None
        loss = getattr(keras.losses, case["class"])(**case["arguments"])
        model = keras.Sequential(
            [keras.Input(outputs.shape[1:]), keras.layers.Activation(case["ends_in"] or "linear")]
        )
        model.compile("sgd", loss)
        figure, gradient = _loss_and_gradient(model, values, targets, weighing)
        answer[f"{number}|loss"] = np.asarray(figure)
        answer[f"{number}|gradient"] = np.asarray(tensorflow.convert_to_tensor(gradient))
    return answer


def names(keras, words):
    """What Keras calls the function of each word that compile() takes for a loss; "" where it takes none."""
    found = []
    for word in words:
        try:
            found.append(keras.losses.get(str(word)).__name__)
        except (TypeError, ValueError):
            found.append("")
    return {"names": np.array(found)}


def _loss_and_gradient(model, values, targets, weighing):
    import tensorflow

    @tensorflow.function
    def run():
        with tensorflow.GradientTape() as tape:
            figure = model.compute_loss(values, targets, model(values, training=True), weighing)
        return figure, tape.gradient(figure, values)

    return run()


def penalties(keras, cases, weight):
    """What regularisers add for a weight, and a constraint makes of it.

    Args:
        keras: The package.
        cases: JSON, a list of [module, class, arguments], such as ["regularizers", "L2", {"l2": 0.1}].
        weight: In Keras's order, float64.

    Returns:
        "N" of case N.
    """
    import tensorflow

    keras.backend.set_floatx("float64")
    answer = {}
    for number, (module, name, arguments) in enumerate(json.loads(str(cases))):
        rule = getattr(getattr(keras, module), name)(**arguments)
        answer[str(number)] = np.asarray(rule(tensorflow.constant(weight)))
    return answer
