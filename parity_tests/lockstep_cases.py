"""v1, v2 and v3 in their own sizes, compiled, for the recorder. Ports: lightning_impl/models.

The recorder imports this file; Keras comes in as an argument.
"""

from keras_reference.models import v1, v2, v3
from parity_tests.training_cases import compiled, optimizers_of


def v1_adam(keras):
    return compiled(keras, v1.build(keras), optimizers_of(keras).Adam(0.001))


def v2_adam(keras):
    return compiled(keras, v2.build(keras), optimizers_of(keras).Adam(0.001))


def v3_nadam(keras):
    return compiled(keras, v3.build(keras), optimizers_of(keras).Nadam(0.001))


def fit(keras):
    """The rate falls some times in 50 epochs; the waiting for a better epoch runs all the time."""
    callbacks = keras.callbacks
    return {
        "callbacks": [
            callbacks.ReduceLROnPlateau(patience=7, factor=0.7, min_delta=0.001),
            callbacks.EarlyStopping(patience=49, min_delta=0.001, restore_best_weights=True),
        ]
    }
