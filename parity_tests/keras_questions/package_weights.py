"""EfficientNet-Lite0 with the weights of an installed package, classifier and all, under Keras."""

import numpy as np


def probabilities(keras, images):
    """The 1,000-class net's, of images `(N, H, W, 3)` of 0-255, in the images' precision."""
    from keras_reference.models import final
    from keras_reference.torch_file import read_tensors
    from keras_reference.training import load_package_weights
    from parity_common.installed_weights import installed_weights_file

    keras.backend.set_floatx(str(images.dtype))
    if keras.__name__ == "keras":
        keras.config.set_dtype_policy(str(images.dtype))
    model = final.build(keras, 1000, images.shape[1:3], "efficientnet_lite0")
    load_package_weights(model, "efficientnet_lite0")
    tensors = read_tensors(installed_weights_file("efficientnet_lite0"))
    model.get_layer("head").set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    return {"probabilities": np.asarray(model(images, training=False))}
