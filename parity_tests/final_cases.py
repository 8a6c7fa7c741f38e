"""final with each backbone, in three sizes and at each stage of a fine-tuning, for the recorder.

The recorder imports this file; Keras comes in as an argument. `efficientnet_b0_odd`, `resnet50_second` and so
on are its functions: a backbone and a key of SIZES or STAGES.
"""

from functools import partial

from keras_reference.models import final
from parity_tests.training_cases import compiled, optimizers_of

CLASSES = 7
# Small, with sides on the way even here and odd there, so that each kind of padding occurs; odd; and what the
# nets were made for.
SIZES = {"small": (66, 47), "odd": (97, 131), "own": (224, 224)}
# From where the second stage trains.
FIRST_TRAINED = {
    "efficientnet_b0": "block7a_expand_conv",
    "efficientnet_lite0": "block7a_expand_conv",
    "mobilenet_v2": "block_16_expand",
    "resnet50": "conv5_block3_3_conv",
}


def built(keras, backbone, size="small"):
    return final.build(keras, CLASSES, SIZES[size], backbone)


def first_stage(keras, backbone):
    """The head alone trains."""
    model = built(keras, backbone)
    final.freeze(model)
    return compiled(keras, model, optimizers_of(keras).Adam(0.001))


def second_stage(keras, backbone):
    """The last layers, too, at a low rate."""
    model = built(keras, backbone)
    final.freeze(model, FIRST_TRAINED[backbone])
    return compiled(keras, model, optimizers_of(keras).Adam(1e-5))


def whole(keras, backbone):
    """All of it trains, BatchNormalization in training mode."""
    return compiled(keras, built(keras, backbone), optimizers_of(keras).SGD(1e-4))


STAGES = {"first": first_stage, "second": second_stage, "whole": whole}
for name in final.BACKBONES:
    globals().update({f"{name}_{size}": partial(built, backbone=name, size=size) for size in SIZES})
    globals().update({f"{name}_{stage}": partial(make, backbone=name) for stage, make in STAGES.items()})
