"""Compiled Keras models for the recorder: small cases that show each difference. Ports: training_ports.py.

The recorder imports this file; Keras comes in as an argument.
"""

from keras_reference.models import v1, v2, v3

CLASSES = 7
# Neither square nor even.
IMAGE_SIZE = (33, 29)


def optimizers_of(keras):
    """TF 2.4's optimizers are tf_keras's legacy ones."""
    return keras.optimizers.legacy if keras.__name__ == "tf_keras" else keras.optimizers


def compiled(keras, model, optimizer, loss="categorical_crossentropy"):
    # Else tf_keras asks whether sample weights were meant for the accuracy, too.
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], weighted_metrics=[])
    return model


def v1_adam(keras):
    return compiled(keras, v1.build(keras, CLASSES, IMAGE_SIZE), optimizers_of(keras).Adam(0.001))


def v2_adam(keras):
    return compiled(keras, v2.build(keras, CLASSES, IMAGE_SIZE), optimizers_of(keras).Adam(0.001))


def v3_nadam(keras):
    return compiled(keras, v3.build(keras, CLASSES, IMAGE_SIZE), optimizers_of(keras).Nadam(0.001))


def small(keras, optimizer, loss="categorical_crossentropy"):
    """Strided and padded layers, a frozen BatchNormalization, L2, a constraint: see SmallPort."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape=(13, 10, 3), name="images"),
            layers.Conv2D(
                6, 3, strides=2, padding="same", kernel_regularizer=keras.regularizers.L2(0.01), name="conv1"
            ),
            layers.BatchNormalization(name="bn1"),
            layers.Activation("relu", name="relu1"),
            layers.AveragePooling2D(3, strides=2, padding="same", name="average"),
            layers.Conv2D(
                8, 3, padding="same", kernel_constraint=keras.constraints.MaxNorm(0.3), name="conv2"
            ),
            layers.BatchNormalization(name="bn_frozen", trainable=False),
            layers.Activation("relu", name="relu2"),
            layers.MaxPooling2D(2, padding="same", name="most"),
            layers.Dropout(0.2, name="drop"),
            layers.Flatten(name="flatten"),
            layers.Dense(CLASSES, name="head"),
            layers.Activation("softmax", name="softmax"),
        ],
        name="small",
    )
    return compiled(keras, model, optimizer, loss)


def small_sgd(keras):
    optimizer = optimizers_of(keras).SGD(0.05, momentum=0.9, nesterov=True, clipnorm=0.05)
    return small(keras, optimizer, keras.losses.CategoricalCrossentropy(label_smoothing=0.1))


def small_saturated(keras):
    """Trained on values up to 1,000 (`--data`): the logits lie far apart."""
    return small(keras, optimizers_of(keras).SGD(0.001))


def small_rmsprop(keras):
    return small(keras, optimizers_of(keras).RMSprop(0.001), "sparse_categorical_crossentropy")


def small_adam(keras):
    more = {"decay": 0.01} if keras.__name__ == "tf_keras" else {"weight_decay": 0.01}
    return small(keras, optimizers_of(keras).Adam(0.01, **more))


def small_ema(keras):
    """Averaged weights take the trained ones' place at the end of fit; the legacy optimizers have none."""
    more = {} if keras.__name__ == "tf_keras" else {"use_ema": True, "ema_momentum": 0.9}
    return small(keras, optimizers_of(keras).Adam(0.01, **more))


def small_cosine(keras):
    """A schedule with a warm-up, for an optimizer that has the rate in its momentum."""
    cosine = keras.optimizers.schedules.CosineDecay(
        0.001, decay_steps=30, alpha=0.1, warmup_target=0.05, warmup_steps=9
    )
    return small(keras, optimizers_of(keras).SGD(cosine, momentum=0.9))


def small_activations(keras):
    """The activations that the frameworks define otherwise: see ActivationsPort."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape=(13, 10, 3), name="images"),
            layers.Conv2D(6, 3, name="conv1"),
            layers.LeakyReLU(name="leaky"),
            layers.Conv2D(8, 3, name="conv2"),
            layers.Activation("gelu", name="gelu"),
            layers.Conv2D(8, 3, name="conv3"),
            layers.Activation("hard_sigmoid", name="gate"),
            layers.Flatten(name="flatten"),
            layers.Dense(CLASSES, name="head"),
            layers.Activation("softmax", name="softmax"),
        ],
        name="small_activations",
    )
    return compiled(keras, model, optimizers_of(keras).SGD(0.05))


def small_blocks(keras):
    """One residual block as keras.applications builds them: see BlocksPort."""
    layers = keras.layers

    def normalised(x, name, **call):
        return layers.BatchNormalization(epsilon=1.001e-5, momentum=0.999, name=name)(x, **call)

    images = keras.Input(shape=(13, 10, 3), name="images")
    x = layers.Rescaling(2.0, offset=-1.0, name="rescaling")(images)
    # Without an activation conv0's bias reaches BatchNormalization alone: its gradient is round-off.
    block = layers.Activation("relu", name="relu0")(layers.Conv2D(6, 3, padding="same", name="conv0")(x))
    shortcut = normalised(layers.Conv2D(8, 1, strides=2, name="conv_shortcut")(block), "bn_shortcut")
    # The backbone of a first stage is frozen; its dropout drops all the same.
    x = normalised(layers.Conv2D(4, 1, strides=2, name="conv1")(block), "bn1")
    x = layers.Activation("relu", name="relu1")(x)
    x = normalised(layers.Conv2D(4, 3, padding="same", name="conv2")(x), "bn2", training=False)
    x = layers.Activation("relu", name="relu2")(x)
    x = normalised(layers.Conv2D(8, 1, name="conv3")(x), "bn3")
    x = layers.Dropout(0.25, noise_shape=(None, 1, 1, 1), trainable=False, name="drop_image")(x)
    x = layers.Activation("relu", name="out")(layers.Add(name="add")([shortcut, x]))
    x = layers.Dense(CLASSES, name="head")(layers.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(images, layers.Activation("softmax", name="softmax")(x), name="small_blocks")
    return compiled(keras, model, optimizers_of(keras).SGD(0.05, momentum=0.9))


def early_fit(keras):
    """Stops early; nothing else may change a rate that a schedule sets."""
    return {"callbacks": [keras.callbacks.EarlyStopping(patience=6, min_delta=0.02)]}


def fit(keras):
    """Callbacks that act within a dozen epochs."""
    callbacks = keras.callbacks
    return {
        "callbacks": [
            callbacks.ReduceLROnPlateau(patience=2, factor=0.5, min_delta=0.02),
            callbacks.EarlyStopping(patience=6, min_delta=0.02, restore_best_weights=True),
        ]
    }


def scheduled_fit(keras):
    """A function sets the rate, from the one that ReduceLROnPlateau left."""
    scheduler = keras.callbacks.LearningRateScheduler(
        lambda epoch, rate: rate * (0.7 if epoch % 3 == 2 else 1)
    )
    return {"callbacks": [*fit(keras)["callbacks"], scheduler]}


def weighted_fit(keras):
    """The same, with class weights."""
    return dict(fit(keras), class_weight={label: 0.5 + label / 4 for label in range(CLASSES)})
