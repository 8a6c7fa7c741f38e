"""Small nets for what old files and other input shapes ask of the reader and of the proof."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(keras, path):
    """A net of convolutions alone, with a model inside and two layers of a class, saved by the path's suffix.

    A folder is a SavedModel, which has a compiled and trained net in it.
    """
    layers = keras.layers
    keras.utils.set_random_seed(5)
    inside = keras.Sequential(
        [layers.Input((10, 12, 4)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()],
        name="inside",
    )
    image = layers.Input((20, 24, 3), name="image")
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="down")(image)
    x = layers.UpSampling2D(name="up")(inside(x))
    x = layers.Concatenate(name="both")([image, x])
    x = layers.Conv2D(5, 1, activation="relu", name="mixed")(x)
    model = keras.Model(image, layers.GlobalAveragePooling2D(name="mean")(x), name="net")
    model.compile("adam", "mse")
    random = np.random.RandomState(6)
    model.set_weights([random.uniform(0.1, 0.9, each.shape) for each in model.get_weights()])
    path = Path(str(path))
    model.save(str(path), **({} if path.suffix else {"save_format": "tf"}))
    return {}


def write_with_words(keras, path):
    """A SavedModel that looks words up in a table."""
    layers = keras.layers
    words = layers.TextVectorization(max_tokens=9, output_sequence_length=4, name="words")
    words.adapt(["one two", "three"])
    model = keras.Sequential(
        [keras.Input((1,), dtype="string"), words, layers.Embedding(9, 3), layers.Flatten(), layers.Dense(2)]
    )
    model.save(str(path), save_format="tf")
    return {}
