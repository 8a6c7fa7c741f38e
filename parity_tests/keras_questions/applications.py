"""Networks of keras.applications with random weights, saved in both formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_reference.record_file import draw_input

# Sides in pixels: those that a net takes at least, or few. VGG16's dense layers grow with them, and float64
# Keras takes minutes for the convolutions of ConvNeXt, 7 x 7 and one for each channel.
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
    "ConvNeXtTiny": 48,
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
    """Statistics of images like the recorder's, factors and summands that do something.

    A deep net gives nothing else. Of images that vary 255 times as much, as those of a net that scales them
    itself do, or in blocks instead of pixels, its softmax is certain, and leaves no gradient to compare.
    """
    random = np.random.RandomState(2)
    scales = any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers)
    images = draw_input(2, "settling", (4, side, side, 3), 0.0, 255.0 if scales else 1.0, 0.5)
    normalising = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    kept = [layer.momentum for layer in normalising]
    for layer in normalising:
        layer.momentum = 0.0
        *affine, mean, variance = layer.get_weights()
        affine = [each + random.uniform(-0.2, 0.2, each.shape) for each in affine]
        if layer.name.endswith("project_bn"):
            # What a block adds to its input is small, as in a trained net: else round-off grows with each.
            affine[0] *= 0.2
        layer.set_weights([*affine, mean, variance])
    model(images.astype("float32"), training=True)
    for layer, momentum in zip(normalising, kept, strict=True):
        layer.momentum = momentum
