"""The differences between keras.applications' nets and torchvision's of the same names."""

from __future__ import annotations

from porting import faults
from porting.difference import Difference

BACKBONE_DIFFERENCES = (
    Difference(
        "D46",
        "Where ResNet50 has its stride",
        "In the first 1 x 1 convolution of a stage's first block, as in arXiv 1512.03385.",
        'torchvision\'s resnet50 has it in the 3 x 3 convolution ("v1.5"): the same weights fit, and every '
        "block gives the same shape.",
        "lightning_impl.models.backbones.resnet",
        "keras applications/resnet.py, `residual_block_v1`",
        "structure",
        "small_blocks",
        faults.stride_in_second_convolution,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D47",
        "BatchNormalization's constants in keras.applications",
        "A net has its own: ResNet50 epsilon 1.001e-5, MobileNetV2 momentum 0.999; EfficientNet the layer's "
        "defaults, 1e-3 and 0.99.",
        "torchvision's nets have torch's defaults, 1e-5 and 0.1.",
        "lightning_impl.models.backbones, through BatchNorm's arguments",
        "keras applications/resnet.py, mobilenet_v2.py, efficientnet.py",
        "forward",
        "small_blocks",
        faults.default_constants,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D48",
        "What a pretrained net reads",
        "Each net its own: EfficientNet 0-255 with layers for the rest inside, MobileNetV2 x / 127.5 - 1, "
        "EfficientNet-Lite0 (x - 127) / 128, ResNet50 blue first and means of 103.939, 116.779, 123.68 taken "
        "away.",
        "torchvision's nets all read (x / 255 - mean) / deviation, red first, done by the data.",
        "keras_semantics.preprocessing, inside the net: the data gives 0-255",
        "keras applications/imagenet_utils.py, `preprocess_input`; applications/efficientnet.py",
        "forward",
        "small_blocks",
        faults.images_not_rescaled,
        dtypes=("float64", "float32"),
        note='Asked for weights="imagenet", and only then, keras.applications\' EfficientNet divides by the '
        "roots of ImageNet's deviations once more (Keras 3.15 and tf_keras 2.21; TF 2.4 did not): "
        "argument `preprocessing` of lightning_impl.models.final. A net built with weights=None and loaded "
        "with the same file gives other outputs.",
    ),
    Difference(
        "D49",
        "Stochastic depth, and dropout in a frozen part",
        "Dropout with noise_shape=(None, 1, 1, 1): an image's whole branch is dropped. trainable=False does "
        "not end it: where the model trains, frozen Dropout layers drop.",
        'torchvision\'s StochasticDepth(mode="row") does the same; ports tend to put a frozen part into '
        "eval(), which ends it.",
        "keras_semantics.layers.DropoutPerImage; a frozen part stays in training mode, but for "
        "BatchNormalization (D11)",
        "keras applications/efficientnet.py, `block`; layers/regularization/dropout.py, `call`",
        "state",
        "small_blocks",
        faults.frozen_dropout_in_evaluation_mode,
        dtypes=("float64", "float32"),
        note="In tf_keras a backbone that is one layer of the model, called with training=False as in "
        "Keras's guide, drops nothing; a flat one drops. In Keras 3 both do (D51).",
    ),
    Difference(
        "D50",
        "Biases of convolutions before BatchNormalization",
        "keras.applications' ResNet50 has them, and trains them (see D29).",
        "torchvision's has none: the weights of one do not fit the other.",
        "lightning_impl.models.backbones.resnet",
        "keras applications/resnet.py",
        "structure",
        "small_blocks",
        faults.no_convolution_biases,
        dtypes=("float64", "float32"),
    ),
    Difference(
        "D51",
        "A call with training=False",
        "`base(x, training=False)` in a functional model: in tf_keras BatchNormalization and Dropout inside "
        "keep to it while the model trains. In Keras 3.15 fit's own training=True overrides it: they train.",
        "A mode belongs to the module, not to a call: train() sets all, unless it is overridden.",
        "Profile.call_argument_training_holds; `train` of a converted model.py",
        "tf_keras engine/functional.py, `_run_internal_graph`; keras models/functional.py, `operation_fn`",
        "state",
        "small_blocks",
        faults.other_use_of_training_argument,
        dtypes=("float64", "float32"),
        note="Keras's transfer-learning guide relies on it for an unfrozen backbone: a script that moves "
        "from tf.keras to Keras 3 trains other statistics. trainable=False (D11) holds in both.",
    ),
)
