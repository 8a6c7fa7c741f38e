"""EfficientNet-Lite0 in Keras, which keras.applications has not.

tensorflow/tpu models/official/efficientnet/lite; layers are named and drawn as those of keras.applications'
EfficientNet. Twin: lightning_impl/models/backbones/efficientnet_lite.py.
"""

from parity_common.efficientnet import DROP_CONNECT_RATE, STEM_CHANNELS, TOP_CHANNELS, lite_blocks

# keras 3.15 applications/efficientnet.py, `CONV_KERNEL_INITIALIZER`.
KERNELS = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"},
}


def features(keras, images, drop_connect_rate=DROP_CONNECT_RATE):
    """Adds the net without its classifier.

    Args:
        keras: The module: tf_keras or keras.
        images: A Keras tensor `(N, H, W, 3)`, preprocessed: (x - 127) / 128.
        drop_connect_rate: In [0, 1): how often the last residual branch is dropped in training, those before
            it in proportion.

    Returns:
        `(N, ceil(H / 32), ceil(W / 32), 1280)`.
    """
    layers = keras.layers

    def convolution(x, name, channels, kernel_size=1, stride=1):
        return layers.Conv2D(
            channels,
            kernel_size,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=KERNELS,
            name=name,
        )(x)

    def normalised(x, name):
        return layers.BatchNormalization(name=name)(x)

    def activated(x, name):
        return layers.ReLU(max_value=6.0, name=name)(x)

    x = convolution(images, "stem_conv", STEM_CHANNELS, 3, 2)
    x = activated(normalised(x, "stem_bn"), "stem_activation")
    for block in lite_blocks(drop_connect_rate):
        before = x
        if block.is_widened:
            x = convolution(x, f"{block.name}_expand_conv", block.wide_channels)
            x = activated(normalised(x, f"{block.name}_expand_bn"), f"{block.name}_expand_activation")
        x = layers.DepthwiseConv2D(
            block.kernel_size,
            strides=block.stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=KERNELS,
            name=f"{block.name}_dwconv",
        )(x)
        x = activated(normalised(x, f"{block.name}_bn"), f"{block.name}_activation")
        x = convolution(x, f"{block.name}_project_conv", block.channels)
        x = normalised(x, f"{block.name}_project_bn")
        if block.is_residual:
            x = layers.Dropout(block.drop_rate, noise_shape=(None, 1, 1, 1), name=f"{block.name}_drop")(x)
            x = layers.add([x, before], name=f"{block.name}_add")
    x = convolution(x, "top_conv", TOP_CHANNELS)
    return activated(normalised(x, "top_bn"), "top_activation")
