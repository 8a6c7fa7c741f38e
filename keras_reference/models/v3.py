"""v3 of the record in Keras: normalised, He start. Twin: lightning_impl/models/v3.py."""

FILTERS = (32, 64, 128, 128)


def build(keras, classes=30, image_size=(64, 64)):
    """The untrained model under either Keras: images `(N, H, W, 3)` in [0, 1] to probabilities.

    Args:
        keras: The module: tf_keras or keras.
        classes: How many.
        image_size: Height and width in pixels.
    """
    layers = keras.layers
    model = keras.Sequential([keras.Input(shape=(*image_size, 3), name="images")], name="v3")
    for stage, filters in enumerate(FILTERS, start=1):
        model.add(
            layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal", name=f"conv{stage}")
        )
        model.add(layers.BatchNormalization(name=f"bn{stage}"))
        model.add(layers.Activation("relu", name=f"relu{stage}"))
        model.add(layers.MaxPooling2D(2, name=f"pool{stage}"))
        model.add(layers.Dropout(0.25, name=f"drop{stage}"))
    model.add(layers.Flatten(name="flatten"))
    model.add(layers.Dense(256, kernel_initializer="he_normal", name="dense"))
    model.add(layers.BatchNormalization(name="bn_dense"))
    model.add(layers.Activation("relu", name="relu_dense"))
    model.add(layers.Dropout(0.5, name="drop_dense"))
    model.add(layers.Dense(classes, name="head"))
    model.add(layers.Activation("softmax", name="softmax"))
    return model
