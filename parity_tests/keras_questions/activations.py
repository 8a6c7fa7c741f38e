"""Keras's activations on given numbers."""

import numpy as np

CALLS = {
    "hard_sigmoid": lambda keras, x: keras.activations.hard_sigmoid(x),
    "gelu": lambda keras, x: keras.activations.gelu(x),
    "gelu_approximate": lambda keras, x: keras.activations.gelu(x, approximate=True),
    "leaky_relu": lambda keras, x: keras.layers.LeakyReLU(dtype=x.dtype.name)(x),
}


def values(keras, numbers):
    """Every activation of `numbers`, in their dtype."""
    import tensorflow

    given = tensorflow.constant(numbers)
    return {name: np.asarray(call(keras, given)) for name, call in CALLS.items()}
