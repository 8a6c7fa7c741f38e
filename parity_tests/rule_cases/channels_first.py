"""Models whose images have their channels first. TensorFlow runs few of their layers on a CPU: in Keras 3,
which turns them round.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from parity_tests.rule_cases.case import Case

_IMAGE = (3, 6, 7)
_RESIZE = "tf.image.resize computes in float32"


def _case(layer: str, generations: tuple[str, ...] = ("keras3",), rounds: str = "", **arguments: Any) -> Case:
    arguments = {**arguments, "data_format": "channels_first"}
    return Case(layer, (_IMAGE,), arguments, None, "", generations, keras_rounds=rounds)


_BOTH = ("tf2.4", "keras3")
CASES = [
    # As many filters as the output is wide, and keras 3.15 on TensorFlow adds the bias along the width:
    # backend/tensorflow/numpy.py, `add`, takes it for the bias of a channels_last image.
    replace(
        _case("Conv2D", filters=6, kernel_size=3, strides=2, padding="same"),
        dtypes=("float32",),
        needs_onednn=True,
    ),
    replace(
        _case("Conv2D", filters=4, kernel_size=3, activation="softmax", use_bias=False),
        dtypes=("float32",),
        needs_onednn=True,
    ),
    _case("DepthwiseConv2D", kernel_size=3, padding="same", depth_multiplier=2),
    _case("SeparableConv2D", filters=4, kernel_size=3),
    replace(
        _case("Conv2DTranspose", filters=4, kernel_size=3, strides=2, padding="same"),
        dtypes=("float32",),
        needs_onednn=True,
    ),
    _case("MaxPooling2D", pool_size=3, strides=2, padding="same"),
    _case("AveragePooling2D", pool_size=3, strides=2, padding="same"),
    _case("GlobalAveragePooling2D", _BOTH),
    _case("GlobalMaxPooling2D", _BOTH, keepdims=True),
    _case("Flatten", _BOTH),
    _case("ZeroPadding2D", _BOTH, padding=((0, 1), (2, 1))),
    _case("Cropping2D", _BOTH, cropping=((0, 1), (2, 1))),
    _case("UpSampling2D", _BOTH, size=(2, 3)),
    _case("UpSampling2D", _BOTH, _RESIZE, size=2, interpolation="bilinear"),
    _case("SpatialDropout2D", _BOTH, rate=0.2),
    _case("Resizing", rounds=_RESIZE, height=9, width=5),
    _case("CenterCrop", height=4, width=3),
]
