"""Models whose layers end in activations of their own: for the recorder, and saved to be converted."""

from __future__ import annotations

from pathlib import Path


def write(keras, case, folder, suffix):
    """Saves a case as `model.<suffix>`."""
    globals()[str(case)](keras).save(str(Path(str(folder)) / f"model.{suffix}"))
    return {}


def chain(keras):
    """Every module is one of an nn.Sequential."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((13, 10, 3), name="images"),
            layers.Conv2D(6, 3, activation="relu", name="first"),
            layers.Conv2D(8, 3, padding="same", activation="swish", name="second"),
            layers.MaxPooling2D(name="pool"),
            layers.DepthwiseConv2D(
                3, padding="same", strides=2, depth_multiplier=2, activation="relu", name="depthwise"
            ),
            layers.SeparableConv2D(7, 3, padding="same", activation="tanh", name="separable"),
            layers.Flatten(name="flatten"),
            layers.Dense(11, activation="hard_sigmoid", name="dense"),
            layers.Dense(5, activation="softmax", name="head"),
        ],
        name="chain",
    )


def branches(keras):
    """Activations are calls in forward, and so are other layers; one layer has a weight that does nothing."""
    layers = keras.layers
    images = keras.Input((13, 10, 3), name="images")
    scaled = layers.Rescaling(30.0, offset=-15.0, name="rescale")(images)
    scaled = layers.Normalization(name="norm")(scaled)
    x = layers.Conv2D(6, 3, activation="relu", padding="same", name="stem")(scaled)
    y = layers.Conv2D(6, 3, activation="swish", padding="same", name="left")(x)
    y = layers.Activation("linear", name="as_it_is")(y)
    z = layers.DepthwiseConv2D(3, padding="same", activation="hard_sigmoid", name="right")(x)
    x = layers.Add(name="add")([y, z])
    x = layers.ReLU(name="behind_add")(x)
    # On Keras's last axis, whichever the axes of an image are.
    x = layers.Dense(8, activation="elu", name="on_channels")(x)
    y = layers.SeparableConv2D(8, 3, padding="same", activation="selu", name="separable")(x)
    x = layers.Concatenate(name="both")([x, y])
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(images, layers.Dense(5, activation="softmax", name="head")(x), name="branches")


def blocks(keras):
    """Residual blocks that become a class, and a sigmoid."""
    layers = keras.layers
    images = keras.Input((13, 10, 3), name="images")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(images)
    for block in range(4):
        name = f"block{block}_"
        y = layers.Conv2D(12, 3, padding="same", activation="swish", name=f"{name}wide")(x)
        y = layers.Conv2D(8, 3, padding="same", activation="relu", name=f"{name}narrow")(y)
        x = layers.Add(name=f"{name}add")([x, y])
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(images, layers.Dense(1, activation="sigmoid", name="head")(x), name="blocks")


def steps(keras):
    """Axes that are no image's."""
    layers = keras.layers
    given = keras.Input((12, 5), name="steps")
    x = layers.Dense(8, activation="relu", name="each_step")(given)
    x = layers.Conv1D(8, 3, padding="causal", activation="relu", name="causal")(x)
    x = layers.Add(name="add")([x, layers.Conv1D(8, 3, padding="same", activation="tanh", name="same")(x)])
    x = layers.LSTM(6, name="lstm")(x)
    return keras.Model(given, layers.Dense(4, activation="softmax", name="head")(x), name="steps")


def trained(keras):
    """Compiled, to climb the whole ladder."""
    layers = keras.layers
    images = keras.Input((13, 10, 3), name="images")
    bound = keras.constraints.MaxNorm(0.5)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", kernel_constraint=bound, name="stem")(images)
    x = layers.BatchNormalization(trainable=False, name="frozen_norm")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="swish", name="depthwise")(x)
    y = layers.Conv2D(6, 1, activation="tanh", trainable=False, name="frozen")(y)
    y = layers.PReLU(shared_axes=[1, 2], alpha_constraint=keras.constraints.NonNeg(), name="slopes")(y)
    x = layers.Add(name="add")([x, y])
    x = layers.Dropout(0.25, name="drop")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(5, activation="softmax", name="head")(x)
    model = keras.Model(images, x, name="trained")
    home = keras.optimizers.legacy if keras.__name__ == "tf_keras" else keras.optimizers
    model.compile(
        home.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=[]
    )
    return model


def vgg16(keras):
    return _application(keras, "VGG16", 32)


def mobilenet_v2(keras):
    return _application(keras, "MobileNetV2", 64, alpha=0.35)


def _application(keras, name, side, **arguments):
    # Some of its layers are named by a count of all that were made.
    keras.backend.clear_session()
    return getattr(keras.applications, name)(
        weights=None, input_shape=(side, side, 3), classes=10, **arguments
    )
