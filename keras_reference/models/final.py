"""final of the record in Keras: a widely known architecture. Twin: lightning_impl/models/final.py."""

from keras_reference.models import efficientnet_lite
from parity_common.command_errors import UserError, did_you_mean
from parity_common.efficientnet import DROP_CONNECT_RATE
from parity_common.final_arguments import check_shares

APPLICATIONS = {"efficientnet_b0": "EfficientNetB0", "mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50"}
"""Backbones that keras.applications has, to the function's name there."""

BACKBONES = ("efficientnet_b0", "efficientnet_lite0", "mobilenet_v2", "resnet50")
"""`backbone` of arch_arguments."""

# What `build` adds to the backbone.
OWN_LAYERS = ("images", "pool", "drop", "head", "softmax")
# keras.applications takes no smaller images.
SMALLEST_SIDE_PIXELS = 32


def build(
    keras,
    classes=30,
    image_size=(224, 224),
    backbone="efficientnet_b0",
    dropout=0.2,
    preprocessing=None,
    weights=None,
    drop_connect_rate=None,
):
    """The untrained model under either Keras: images `(N, H, W, 3)` of 0-255 to probabilities.

    A flat graph, the backbone's layers among the model's own: each can be named, frozen and recorded.

    Args:
        keras: The module: tf_keras or keras.
        classes: How many.
        image_size: Height and width in pixels, 32 or more.
        backbone: One of BACKBONES.
        dropout: In [0, 1): before the dense layer.
        preprocessing: "keras-imagenet" with weights="imagenet", else "keras"; None: whichever of the two.
        weights: keras.applications' argument: "imagenet" for those it publishes (EfficientNetB0 then has one
            layer more, see lightning_impl/models/backbones/efficientnet.py), or None.
        drop_connect_rate: In [0, 1): an EfficientNet's, how often its last residual branch is dropped in
            training, those before it in proportion. None: 0.2.

    Raises:
        UserError: An unknown backbone, images too small, a share out of range, or a preprocessing that
            keras.applications has not.
    """
    if backbone not in BACKBONES:
        raise UserError(
            f'model.arch_arguments: no backbone "{backbone}"{did_you_mean(backbone, BACKBONES)}: '
            f"one of {', '.join(BACKBONES)}"
        )
    check_shares(backbone, dropout, drop_connect_rate)
    if min(image_size) < SMALLEST_SIDE_PIXELS:
        raise UserError(
            f"data.image_size {list(image_size)} is too small for final: "
            f"give {SMALLEST_SIDE_PIXELS} pixels a side"
        )
    if weights is not None and backbone not in APPLICATIONS:
        raise UserError(
            f"model.weights keras-imagenet: keras.applications has no {backbone}, only "
            f"{', '.join(APPLICATIONS)}: give --model.weights package"
        )
    has = "keras-imagenet" if weights == "imagenet" else "keras"
    if preprocessing not in (None, has):
        raise UserError(
            f'model.arch_arguments: keras.applications has preprocessing "{has}" with these weights, '
            f'not "{preprocessing}"'
        )
    layers = keras.layers
    images = keras.Input(shape=(*image_size, 3), name="images")
    read = preprocessed(keras, backbone, images)
    rate = DROP_CONNECT_RATE if drop_connect_rate is None else drop_connect_rate
    if backbone == "efficientnet_lite0":
        features = efficientnet_lite.features(keras, read, rate)
    else:
        make = getattr(keras.applications, APPLICATIONS[backbone])
        base = make(include_top=False, weights=weights, input_tensor=read)
        if drop_connect_rate is not None:
            change_drop_connect_rate(base, rate)
        features = base.output
    x = layers.GlobalAveragePooling2D(name="pool")(features)
    x = layers.Dropout(dropout, name="drop")(x)
    x = layers.Dense(classes, name="head")(x)
    return keras.Model(images, layers.Activation("softmax", name="softmax")(x), name="final")


def freeze(model, first_trained=None):
    """Freezes the backbone, or the part of it before a layer; its BatchNormalization in either.

    Keras wants the model compiled anew after it.

    Args:
        model: From `build`.
        first_trained: The layer from which on the backbone trains; None: none of it.

    Raises:
        UserError: There is no such layer.
    """
    backbone = [layer for layer in model.layers if layer.name not in OWN_LAYERS]
    names = [layer.name for layer in backbone]
    if first_trained is not None and first_trained not in names:
        raise UserError(
            f"the backbone has no layer {first_trained}{did_you_mean(first_trained, names)}; such as "
            f"{names[-9]} and {names[-2]}"
        )
    frozen = len(names) if first_trained is None else names.index(first_trained)
    for place, layer in enumerate(backbone):
        layer.trainable = place >= frozen and type(layer).__name__ != "BatchNormalization"


def change_drop_connect_rate(base, rate):
    """Gives an EfficientNetB0 another rate: keras.applications takes none, layers read theirs when called.

    Args:
        base: The model, with the rate 0.2; changed in place.
        rate: In [0, 1).
    """
    for layer in base.layers:
        if type(layer).__name__.endswith("Dropout"):
            layer.rate *= rate / DROP_CONNECT_RATE


def preprocessed(keras, backbone, images):
    """What `preprocess_input` of the backbone does, as a layer of the model.

    EfficientNetB0's own layers do it; MobileNetV2's is mode "tf", ResNet50's mode "caffe"
    (keras 3.15 applications/imagenet_utils.py); EfficientNet-Lite0's is (x - 127) / 128
    (tensorflow/tpu efficientnet/lite/efficientnet_lite_builder.py, `MEAN_RGB`, `STDDEV_RGB`).
    """
    if backbone == "efficientnet_lite0":
        return keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocessing")(images)
    if backbone == "mobilenet_v2":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="preprocessing")(images)
    if backbone == "resnet50":
        return caffe_preprocessing(keras)(name="preprocessing")(images)
    return images


def caffe_preprocessing(keras):
    """A layer class: keras.applications has no layer that changes red and blue."""

    @keras.utils.register_keras_serializable("keras_reference")
    class CaffePreprocessing(keras.layers.Layer):
        """preprocess_input of keras.applications.resnet."""

        def call(self, images):
            return keras.applications.resnet.preprocess_input(images)

        def compute_output_shape(self, input_shape):
            return input_shape

    return CaffePreprocessing
