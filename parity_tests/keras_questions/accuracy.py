"""What fit() reports of small models, whose files are saved beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

EXAMPLES, OUTPUTS = 12, 5
# tf_keras wants all of them.
OF_CLASSES = dict(enumerate((1.0, 4.0, 2.0, 0.5, 3.0)))


def draw(case):
    """Inputs `(N, width)` and labels of a case, float64."""
    _, _, _, labels, _ = CASES[case]
    random = np.random.RandomState(len(case))
    width = 1 if labels.startswith("binary") else OUTPUTS
    examples = OUTPUTS if "as many" in labels else EXAMPLES
    inputs = random.normal(0.1, 0.8, (examples, width))
    numbers = random.randint(0, OUTPUTS, examples)
    binary = (random.rand(examples) < 0.6).astype("float64")
    return inputs, {
        "binary": binary,
        "binary column": binary[:, None],
        "numbers": numbers,
        "number column": numbers[:, None],
        "one-hot": np.eye(OUTPUTS)[numbers],
        "several": (random.rand(examples, OUTPUTS) < 0.5).astype("float64"),
        "several, as many": (random.rand(examples, OUTPUTS) < 0.5).astype("float64"),
        "numbers of reals": random.rand(examples, OUTPUTS),
    }[labels]


# By name: what stands behind the inputs, the loss, the metrics, the labels, class weights.
CASES = {
    "logits": (["linear"], ("BinaryCrossentropy", {"from_logits": True}), ["accuracy"], "binary", None),
    "logits, column": (
        ["linear"],
        ("BinaryCrossentropy", {"from_logits": True}),
        ["accuracy"],
        "binary column",
        None,
    ),
    "sigmoid": (["sigmoid"], "binary_crossentropy", ["accuracy"], "binary", {0: 1.0, 1: 3.0}),
    "sigmoid, column": (["sigmoid"], "bce", ["acc"], "binary column", {0: 2.0, 1: 0.5}),
    "sigmoid, reshaped": (["sigmoid", "reshape"], "binary_crossentropy", ["accuracy"], "binary", None),
    "hard sigmoid": (["hard_sigmoid"], "binary_crossentropy", ["accuracy"], "binary", None),
    "threshold": (["sigmoid"], "mse", [("BinaryAccuracy", {"threshold": 0.6})], "binary column", None),
    "one output of categories": (["sigmoid"], "mse", ["categorical_accuracy"], "binary column", None),
    "softmax": (["softmax"], "sparse_categorical_crossentropy", ["accuracy"], "numbers", OF_CLASSES),
    "softmax, column": (
        ["softmax"],
        "sparse_categorical_crossentropy",
        ["accuracy"],
        "number column",
        OF_CLASSES,
    ),
    "softmax, one-hot": (["softmax"], "categorical_crossentropy", ["accuracy"], "one-hot", OF_CLASSES),
    "softmax, twice": (["softmax", "reshape"], "categorical_crossentropy", ["accuracy"], "one-hot", None),
    "smoothed": (
        ["softmax"],
        ("CategoricalCrossentropy", {"label_smoothing": 0.1}),
        [("CategoricalAccuracy", {"name": "acc"})],
        "one-hot",
        None,
    ),
    "sparse logits": (
        ["linear"],
        ("SparseCategoricalCrossentropy", {"from_logits": True}),
        ["sparse_categorical_accuracy"],
        "number column",
        None,
    ),
    "several": (["sigmoid"], "binary_crossentropy", ["accuracy"], "several", None),
    "several, as many": (["sigmoid"], "binary_crossentropy", ["accuracy"], "several, as many", None),
    "several, each": (["sigmoid"], "binary_crossentropy", ["binary_accuracy"], "several", None),
    "several logits, each": (
        ["linear"],
        ("BinaryCrossentropy", {"from_logits": True}),
        [("BinaryAccuracy", {"threshold": 0.0})],
        "several",
        None,
    ),
    "sigmoids": (["sigmoid"], "categorical_crossentropy", ["accuracy"], "one-hot", None),
    "autoencoder": (["linear"], "mse", ["accuracy"], "numbers of reals", None),
    "no accuracy": (["linear"], "MSE", ["mae"], "numbers of reals", None),
}


def fitted(keras, folder, suffix):
    """One epoch of one batch of every case, with a learning rate of 0.

    Args:
        keras: The package.
        folder: Takes a file a case.
        suffix: Of the files.

    Returns:
        "case|loss", and "case|accuracy" where fit reports one.
    """
    answer = {}
    for number, (name, (heads, loss, metrics, _, class_weight)) in enumerate(CASES.items()):
        inputs, labels = draw(name)
        given = keras.Input(inputs.shape[1:])
        # With the identity as its kernel.
        outputs = keras.layers.Dense(inputs.shape[1], kernel_initializer="identity", name="scores")(given)
        for head in heads:
            if head == "reshape":
                outputs = keras.layers.Reshape((inputs.shape[1],))(outputs)
            else:
                outputs = keras.layers.Activation(head)(outputs)
        model = keras.Model(given, outputs, name="net")
        made = loss if isinstance(loss, str) else getattr(keras.losses, loss[0])(**loss[1])
        measured = [
            each if isinstance(each, str) else getattr(keras.metrics, each[0])(**each[1]) for each in metrics
        ]
        model.compile(keras.optimizers.SGD(0.0), made, metrics=measured)
        history = model.fit(
            inputs, labels, batch_size=len(inputs), verbose=0, class_weight=class_weight
        ).history
        model.save(str(Path(str(folder)) / f"{number}.{suffix}"))
        answer[f"{name}|loss"] = np.array(history.pop("loss")[0])
        for figure, values in history.items():
            if "acc" in figure:
                answer[f"{name}|accuracy"] = np.array(values[0])
    return answer
