"""Where each weight of a Keras layer lies in the torch module that stands for it: one table, two ways."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a Keras weight lies in the torch module of the same layer name.

    Attributes:
        attribute: Of the torch module.
        axes: `torch = keras.transpose(axes)`.
    """

    attribute: str
    axes: tuple[int, ...]


RULES: dict[str, dict[str, Place]] = {
    # (height, width, in, out) to (out, in, height, width).
    "Conv2D": {"kernel": Place("weight", (3, 2, 0, 1)), "bias": Place("bias", (0,))},
    # (height, width, in, multiplier) to (in, multiplier, height, width), which is torch's for a multiplier of
    # 1. The kernel's name is depthwise_kernel up to TF 2 and kernel in Keras 3.
    "DepthwiseConv2D": {
        "depthwise_kernel": Place("weight", (2, 3, 0, 1)),
        "kernel": Place("weight", (2, 3, 0, 1)),
        "bias": Place("bias", (0,)),
    },
    # (in, out) to (out, in).
    "Dense": {"kernel": Place("weight", (1, 0)), "bias": Place("bias", (0,))},
    "BatchNormalization": {
        "gamma": Place("weight", (0,)),
        "beta": Place("bias", (0,)),
        "moving_mean": Place("running_mean", (0,)),
        "moving_variance": Place("running_var", (0,)),
    },
    "Normalization": {
        "mean": Place("mean", (0,)),
        "variance": Place("variance", (0,)),
        "count": Place("count", ()),
    },
}
"""Keras class to its weights' places, in Keras's order: names as in keras 3.15, tf_keras 2.21 and TF 2.4."""
