"""v1 of the record in Keras: a basic CNN. Twin: lightning_impl/models/v1.py."""


def build(keras, classes=30, image_size=(128, 128)):
    """The untrained model under either Keras: images `(N, H, W, 3)` in [0, 1] to probabilities.

    Args:
        keras: The module: tf_keras or keras.
        classes: How many.
        image_size: Height and width in pixels.
    """
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape=(*image_size, 3), name="images"),
            layers.Conv2D(32, 3, name="conv1"),
            layers.Activation("relu", name="relu1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(64, 3, name="conv2"),
            layers.Activation("relu", name="relu2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, name="dense"),
            layers.Activation("relu", name="relu_dense"),
            layers.Dense(classes, name="head"),
            layers.Activation("softmax", name="softmax"),
        ],
        name="v1",
    )
