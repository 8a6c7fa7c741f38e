"""final of the record in Keras: a widely known architecture. Twin: lightning_impl/models/final.py."""

from parity_common.command_errors import UserError, did_you_mean

BACKBONES = {"efficientnet_b0": "EfficientNetB0", "mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50"}
"""`backbone` of arch_arguments to the function's name in keras.applications."""

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

    Raises:
        UserError: An unknown backbone, images too small, or a preprocessing that keras.applications has not.
    """
    if backbone not in BACKBONES:
        raise UserError(
            f'model.arch_arguments: no backbone "{backbone}"{did_you_mean(backbone, BACKBONES)}: '
            f"one of {', '.join(BACKBONES)}"
        )
    if min(image_size) < SMALLEST_SIDE_PIXELS:
        raise UserError(
            f"data.image_size {list(image_size)} is too small for final: "
            f"give {SMALLEST_SIDE_PIXELS} pixels a side"
        )
    has = "keras-imagenet" if weights == "imagenet" else "keras"
    if preprocessing not in (None, has):
        raise UserError(
            f'model.arch_arguments: keras.applications has preprocessing "{has}" with these weights, '
            f'not "{preprocessing}"'
        )
    layers = keras.layers
    images = keras.Input(shape=(*image_size, 3), name="images")
    make = getattr(keras.applications, BACKBONES[backbone])
    base = make(include_top=False, weights=weights, input_tensor=preprocessed(keras, backbone, images))
    x = layers.GlobalAveragePooling2D(name="pool")(base.output)
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


def preprocessed(keras, backbone, images):
    """What `preprocess_input` of the backbone does, as a layer of the model.

    EfficientNet's own layers do it; MobileNetV2's is mode "tf", ResNet50's mode "caffe"
    (keras 3.15 applications/imagenet_utils.py).
    """
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
