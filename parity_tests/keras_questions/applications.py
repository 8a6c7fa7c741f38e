"""Networks of keras.applications with random weights, saved in both formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Sides in pixels: those that a net takes at least, or few; VGG16's dense layers grow with them.
SIDES = {
    "VGG16": 64,
    "ResNet50": 96,
    "ResNet50V2": 96,
    "MobileNet": 96,
    "MobileNetV2": 96,
    "MobileNetV3Small": 96,
    "DenseNet121": 96,
    "InceptionV3": 139,
    "Xception": 96,
    "EfficientNetB0": 96,
    "EfficientNetV2B0": 96,
    "NASNetMobile": 224,
    "ConvNeXtTiny": 96,
}


def write(keras, name, folder):
    """Saves a net for 10 classes as `model.h5` and `model.keras`. Answers its number of parameters."""
    keras.utils.set_random_seed(1)
    side = SIDES[str(name)]
    model = getattr(keras.applications, str(name))(weights=None, input_shape=(side, side, 3), classes=10)
    _settle(model, side)
    for suffix in ("h5", "keras"):
        model.save(str(Path(str(folder)) / f"model.{suffix}"))
    return {"parameters": np.array(model.count_params())}


def _settle(model, side):
    """Statistics of some images, factors and summands that do something: a deep net gives nothing else."""
    random = np.random.RandomState(2)
    normalising = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    kept = [layer.momentum for layer in normalising]
    for layer in normalising:
        layer.momentum = 0.0
        *affine, mean, variance = layer.get_weights()
        layer.set_weights(
            [*(each + random.uniform(-0.2, 0.2, each.shape) for each in affine), mean, variance]
        )
    model(random.uniform(0, 1, (4, side, side, 3)).astype("float32"), training=True)
    for layer, momentum in zip(normalising, kept, strict=True):
        layer.momentum = momentum
