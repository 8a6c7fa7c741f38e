"""What each generation's ImageDataGenerator does with an image: asked of Keras itself."""

import json

import numpy as np

from keras_reference import transform
from parity_common.augment_settings import AugmentSettings


def _generator(keras, settings):
    if keras.__name__ == "tf_keras":
        from keras_preprocessing.image import ImageDataGenerator

        settings = {**settings, "data_format": "channels_last", "dtype": "float32"}
    else:
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    return ImageDataGenerator(**settings)


def transformed(keras, images, parameters, settings):
    """`apply_transform` of image i with parameter set i.

    Args:
        images: `(N, H, W, 3)` of 0-255.
        parameters: JSON: a list of `get_random_transform`'s dicts.
        settings: JSON: the generator's arguments.
    """
    profile = "tf2.4" if keras.__name__ == "tf_keras" else "keras3"
    augment = AugmentSettings(**json.loads(str(settings)))
    return {"images": transform.transformed(profile, augment, images, json.loads(str(parameters)))}


def drawn(keras, settings, count, height, width):
    """`get_random_transform`, `count` times: an array for each parameter, None as NaN."""
    generator = _generator(keras, json.loads(str(settings)))
    np.random.seed(12345)
    sets = [generator.get_random_transform((int(height), int(width), 3)) for _ in range(int(count))]
    return {
        name: np.array([np.nan if each[name] is None else each[name] for each in sets], float)
        for name in sets[0]
    }


def standardised(keras, images, training, settings):
    """`standardize` of each image, after `fit` on the training images.

    Args:
        images: `(N, H, W, 3)` of 0-255.
        training: `(M, H, W, 3)` of 0-255.
        settings: JSON: the generator's arguments.
    """
    generator = _generator(keras, json.loads(str(settings)))
    generator.fit(training.astype("float32"))
    return {"images": np.stack([generator.standardize(image.astype("float32")) for image in images])}
