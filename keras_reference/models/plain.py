"""A plain CNN of any depth and width in Keras, for studies. Twin: lightning_impl/models/plain.py."""

from parity_common.plain_net import check_plain


def build(keras, classes=30, image_size=(64, 64), filters=(32, 64), dense=(64,)):
    """The untrained model under either Keras: images `(N, H, W, 3)` in [0, 1] to probabilities.

    Args:
        keras: The module: tf_keras or keras.
        classes: How many.
        image_size: Height and width in pixels.
        filters: Of each stage's convolution, 1 or more; each stage halves height and width.
        dense: Width of each dense layer before the head, 1 or more; none is allowed.

    Raises:
        UserError: As check_plain.
    """
    check_plain(image_size, filters, dense)
    layers = keras.layers
    model = keras.Sequential([keras.Input(shape=(*image_size, 3), name="images")], name="plain")
    for stage, width in enumerate(filters, start=1):
        model.add(layers.Conv2D(width, 3, padding="same", name=f"conv{stage}"))
        model.add(layers.Activation("relu", name=f"relu{stage}"))
        model.add(layers.MaxPooling2D(2, name=f"pool{stage}"))
    model.add(layers.Flatten(name="flatten"))
    for number, width in enumerate(dense, start=1):
        model.add(layers.Dense(width, name=f"dense{number}"))
        model.add(layers.Activation("relu", name=f"relu_dense{number}"))
    model.add(layers.Dense(classes, name="head"))
    model.add(layers.Activation("softmax", name="softmax"))
    return model
