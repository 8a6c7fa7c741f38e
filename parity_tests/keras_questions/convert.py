"""Models as their authors would save them, to be converted; and what Keras goes on to do with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_reference.models import v3
from parity_tests import training_cases

STEPS_BEFORE, STEPS_AFTER, BATCH = 3, 5, 8


def draw_batches(shape, classes, seed=3):
    """Float64 images in [0, 1) `(steps, N, ...)` and labels `(steps, N)` for the steps before and after."""
    random = np.random.RandomState(seed)
    steps = STEPS_BEFORE + STEPS_AFTER
    return random.random_sample((steps, BATCH, *shape)), random.randint(0, classes, (steps, BATCH))


def write(keras, case, folder, suffix, dtype):
    """Builds and compiles `case`, trains it, saves `model.<suffix>`, trains on and saves `after.<suffix>`.

    A case that is not trained is saved alone. Answers the losses of the steps after the save.
    """
    dtype = str(dtype)
    keras.backend.set_floatx(dtype)
    if keras.__name__ == "keras":
        keras.config.set_dtype_policy(dtype)
    keras.utils.set_random_seed(7)
    model, shape, classes = CASES[str(case)](keras)
    _perturb(model)
    path = Path(str(folder))
    if shape is None:
        model.save(str(path / f"model.{suffix}"))
        return {"losses": np.zeros(0)}
    images, labels = draw_batches(shape, classes)
    losses = []
    for step in range(STEPS_BEFORE + STEPS_AFTER):
        if step == STEPS_BEFORE:
            model.save(str(path / f"model.{suffix}"))
            if str(case).startswith("between"):
                # Keras goes on from the file, too.
                model = keras.models.load_model(str(path / f"model.{suffix}"))
        losses.append(float(np.ravel(model.train_on_batch(images[step].astype(dtype), labels[step]))[0]))
    if getattr(model.optimizer, "use_ema", False):
        # As at the end of fit: the averages for weights.
        model.optimizer.finalize_variable_values(model.trainable_variables)
    model.save(str(path / f"after.{suffix}"))
    # Keras averages over the calls where the metrics are not reset: the port's are compared by weights.
    return {"losses": np.array(losses[STEPS_BEFORE:])}


def _perturb(model):
    """No BatchNormalization that does nothing, and no bias of zero."""
    random = np.random.RandomState(4)
    model.set_weights(
        [
            weight + random.uniform(0.05, 0.2, weight.shape) if weight.ndim == 1 else weight
            for weight in model.get_weights()
        ]
    )


def _optimizer(keras, name, **arguments):
    home = keras.optimizers.legacy if keras.__name__ == "tf_keras" else keras.optimizers
    return getattr(home, name)(**arguments)


def _chain(keras):
    """A Sequential of repeated blocks."""
    layers = keras.layers
    model = keras.Sequential([layers.Input((20, 18, 3))], name="chain")
    for block, filters in enumerate((8, 12, 12, 12)):
        model.add(layers.Conv2D(filters, 3, padding="same", name=f"conv{block}"))
        model.add(layers.BatchNormalization(name=f"bn{block}"))
        model.add(layers.ReLU(name=f"relu{block}"))
        model.add(layers.MaxPooling2D(name=f"pool{block}"))
    model.add(layers.Flatten())
    model.add(layers.Dense(16, activation="relu"))
    model.add(layers.Dense(5, activation="softmax"))
    optimizer = _optimizer(keras, "Nadam", learning_rate=0.004)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, (20, 18, 3), 5


def _residual(keras):
    """Residual blocks with a regulariser, a constraint, a frozen layer, a schedule and awkward names."""
    layers = keras.layers
    # Keras 3 has no slash in names.
    slash = "/" if keras.__name__ == "tf_keras" else "_"
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 4, 0.5)
    penalty = keras.regularizers.L2(0.01)
    images = layers.Input((16, 17, 3), name="images")
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(images)
    x = layers.BatchNormalization(name="stem_bn", trainable=False)(x)
    for block in range(1, 5):
        y = layers.Conv2D(8, 3, padding="same", kernel_regularizer=penalty, name=f"block{block}{slash}conv1")(
            x
        )
        y = layers.BatchNormalization(epsilon=1e-4, momentum=0.9, name=f"block{block}{slash}1_bn")(y)
        y = layers.Activation("relu", name=f"block{block}{slash}relu")(y)
        y = layers.Conv2D(8, 3, padding="same", use_bias=False, name=f"block{block}{slash}conv2")(y)
        x = layers.Add(name=f"block{block}{slash}add")([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    outputs = layers.Dense(
        4, activation="softmax", kernel_constraint=keras.constraints.MaxNorm(0.5, axis=0), name="class"
    )(x)
    model = keras.Model(images, outputs, name="residual")
    optimizer = _optimizer(keras, "SGD", learning_rate=schedule, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model, (16, 17, 3), 4


def _binary(keras):
    """A sigmoid, trained by RMSprop, with a BatchNormalization that is called with training=False."""
    layers = keras.layers
    images = layers.Input((9, 9, 2))
    x = layers.Conv2D(6, 3, name="conv")(images)
    x = layers.BatchNormalization(name="norm")(x, training=False)
    x = layers.Flatten()(layers.ReLU()(x))
    model = keras.Model(images, layers.Dense(1, activation="sigmoid")(x), name="binary")
    optimizer = _optimizer(keras, "RMSprop", learning_rate=0.003)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model, (9, 9, 2), 2


def _slotless(keras):
    """An optimizer that keeps nothing but its steps, by which its rate falls."""
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((9, 9, 2)), layers.Flatten(), layers.Dense(4), layers.Softmax()], name="slotless"
    )
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.05, 1, 0.7)
    model.compile(_optimizer(keras, "SGD", learning_rate=schedule), "sparse_categorical_crossentropy")
    return model, (9, 9, 2), 4


def _several(keras):
    """Two inputs, two outputs, a shared layer, a model inside that is called twice."""
    layers = keras.layers
    inside = keras.Sequential(
        [layers.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same"), layers.ReLU()], name="inside"
    )
    left, right = layers.Input((8, 8, 4), name="left"), layers.Input((8, 8, 4), name="right")
    shared = layers.Dense(3, name="shared")
    both = layers.Concatenate()([inside(left), inside(right)])
    one = shared(layers.GlobalAveragePooling2D()(both))
    two = shared(layers.GlobalMaxPooling2D()(both))
    model = keras.Model([left, right], [layers.Subtract()([one, two]), layers.Softmax()(one)], name="several")
    return model, None, 0


def _code(keras):
    """Two layers that are code, and one that has a rule."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((6, 6, 3)),
            layers.Lambda(lambda x: x / 2, name="halve", output_shape=(6, 6, 3)),
            layers.Conv2D(2, 3, name="conv"),
            layers.Lambda(lambda x: x + 1, name="one_more", output_shape=(4, 4, 2)),
        ],
        name="code",
    )
    return model, None, 0


def _weighing(keras):
    """A layer of the author's own with weights, in a net that is trained."""
    layers = keras.layers

    class Weighing(layers.Layer):
        def build(self, shape):
            add = self.add_weight
            self.gamma = add(name="gamma", shape=(shape[-1],), initializer="ones")
            self.beta = add(name="beta", shape=(1, shape[-1]), initializer="zeros")
            super().build(shape)

        def call(self, x):
            return x * self.gamma + self.beta

    model = keras.Sequential(
        [
            layers.Input((9, 9, 2)),
            layers.Flatten(),
            layers.Dense(6, activation="tanh"),
            Weighing(name="weighing"),
            layers.Dense(4, activation="softmax"),
        ],
        name="weighing",
    )
    model.compile(_optimizer(keras, "Adam", learning_rate=0.01), "sparse_categorical_crossentropy")
    return model, (9, 9, 2), 4


def _v3(keras):
    """v3 of the record, in the size of training_cases.py."""
    return v3.build(keras, training_cases.CLASSES, training_cases.IMAGE_SIZE), None, 0


def _sequence(keras):
    """Recurrent layers and attention, whose weights change their places."""
    layers = keras.layers
    given = layers.Input((6, 5), name="steps")
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both_ways")(given)
    # The gradient of a key's bias is round-off alone.
    seen = layers.MultiHeadAttention(2, 4, use_bias=False, name="attention")(x, x)
    x = layers.Add(name="add")([x, seen])
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.GRU(6, reset_after=False, return_sequences=True, name="older_gru")(x)
    x = layers.GRU(5, name="gru")(x)
    x = layers.Dense(3, activation="softmax", name="class")(x)
    model = keras.Model(given, x, name="sequence")
    model.compile(_optimizer(keras, "Adam", learning_rate=0.01), "sparse_categorical_crossentropy")
    return model, (6, 5), 3


# Of TF 2.11 to 2.15: tf_keras's own, which are not the legacy ones.
BETWEEN = {
    "adadelta": ("Adadelta", {"learning_rate": 0.5}),
    "adagrad": ("Adagrad", {"learning_rate": 0.02}),
    "adam": ("Adam", {"learning_rate": 0.003, "amsgrad": True, "clipnorm": 0.5}),
    "adamax": ("Adamax", {"learning_rate": 0.003}),
    "adamw": ("AdamW", {"learning_rate": 0.003, "weight_decay": 0.02}),
    "ftrl": ("Ftrl", {"learning_rate": 0.02, "l1_regularization_strength": 0.001}),
    "nadam": ("Nadam", {"learning_rate": 0.003}),
    "plain_sgd": ("SGD", {"learning_rate": 0.05}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.003, "momentum": 0.8, "centered": True}),
    "sgd": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
}


# Of a .keras file alone: the optimizer keeps an average of each weight, before its own slots.
BETWEEN_NUMBERED = {"averaged": ("Adam", {"learning_rate": 0.003, "use_ema": True, "amsgrad": True})}


def _between(name):
    """A small net with an optimizer of BETWEEN or BETWEEN_NUMBERED."""

    def build(keras):
        layers = keras.layers
        class_name, arguments = {**BETWEEN, **BETWEEN_NUMBERED}[name]
        model = keras.Sequential(
            [
                layers.Input((9, 9, 2)),
                layers.Conv2D(4, 3, activation="tanh", name="conv"),
                layers.Flatten(),
                layers.Dense(4, activation="softmax", name="class"),
            ],
            name="between",
        )
        optimizer = getattr(keras.optimizers, class_name)(**arguments)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        return model, (9, 9, 2), 4

    return build


def _word(word):
    """The same net, compiled with an optimizer that is given by its name alone."""

    def build(keras):
        model, shape, classes = _between("adam")(keras)
        model.compile(word, "sparse_categorical_crossentropy")
        return model, shape, classes

    return build


def _mixed(keras):
    """A net under mixed_float16, whose optimizer stands in one that scales the loss."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layers = keras.layers
        given = layers.Input((9, 9, 2))
        features = layers.Flatten()(layers.Conv2D(4, 3, activation="tanh", name="conv")(given))
        outputs = layers.Dense(4, activation="softmax", dtype="float32", name="class")(features)
        model = keras.Model(given, outputs, name="mixed")
        model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["acc"])
        return model, (9, 9, 2), 4
    finally:
        keras.mixed_precision.set_global_policy("float32")


def _in_turn(keras):
    """An optimizer that has trained another model before."""
    model, shape, classes = _between("adam")(keras)
    other = keras.Sequential([keras.layers.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])
    optimizer = _optimizer(keras, "Adam", learning_rate=0.003)
    other.compile(optimizer, "mse")
    other.train_on_batch(np.ones((2, *shape)), np.ones(2))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model, shape, classes


def _adadelta(keras):
    """Of Keras 2.1 and 2.2 it keeps no count of its steps."""
    model, shape, classes = _between("adam")(keras)
    model.compile(_optimizer(keras, "Adadelta", learning_rate=0.5), "sparse_categorical_crossentropy")
    return model, shape, classes


WORDS = ("adadelta", "adagrad", "Adam", "adamax", "adamw", "ftrl", "rmsprop", "SGD")

CASES = {
    **{f"word_{word}": _word(word) for word in WORDS},
    "mixed": _mixed,
    "in_turn": _in_turn,
    "adadelta": _adadelta,
    **{f"between_{name}": _between(name) for name in (*BETWEEN, *BETWEEN_NUMBERED)},
    "chain": _chain,
    "sequence": _sequence,
    "residual": _residual,
    "binary": _binary,
    "several": _several,
    "slotless": _slotless,
    "code": _code,
    "v3": _v3,
    "weighing": _weighing,
}
