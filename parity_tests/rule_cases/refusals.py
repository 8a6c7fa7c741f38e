"""What rules refuse, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_IMAGE = (4, 3, 5)


@dataclass(frozen=True)
class Refusal:
    """A layer that is not carried over.

    Attributes:
        layer: Keras's class.
        config: What of it is refused.
        says: A part of the message.
        shapes: Of the inputs, without the batch axis.
        generation: The Keras generation.
        call: Keyword arguments of the call.
    """

    layer: str
    config: Mapping[str, Any]
    says: str
    shapes: tuple[tuple[int | None, ...], ...] = (_IMAGE,)
    generation: str = "keras3"
    call: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For the test."""
        return f"{self.layer}-{self.says}"


_CONV = {"filters": 4, "kernel_size": 3}
_STEPS = ((6, 4),)
_LSTM = {"units": 3, "activation": "tanh", "recurrent_activation": "sigmoid"}
_HEADS = {"num_heads": 2, "key_dim": 4}
_RESIZE = {"height": 7, "width": 9}

REFUSALS = (
    Refusal("Conv2D", {**_CONV, "padding": "causal"}, 'padding "causal" has no rule'),
    Refusal("Conv2D", {**_CONV, "groups": 2}, "groups=2 divides neither"),
    Refusal("Conv2D", {**_CONV, "activation": "mine"}, 'its activation "mine" has no rule'),
    Refusal("Conv2D", _CONV, "the number of its channels is not fixed", ((4, 3, None),)),
    Refusal("Conv2DTranspose", {"filters": 4, "kernel_size": 1, "strides": 2}, "is smaller than strides=2"),
    Refusal("SeparableConv1D", {**_CONV, "padding": "causal"}, 'padding "causal" has no rule', ((6, 4),)),
    Refusal("BatchNormalization", {"renorm": True}, "renorm=True has no rule"),
    Refusal("BatchNormalization", {"axis": [1, 2]}, "axis=[1, 2] has no rule"),
    Refusal("LayerNormalization", {"rms_scaling": True}, "rms_scaling=True has no rule"),
    Refusal("LayerNormalization", {"scale": False}, "scale=False with center=True has no rule"),
    Refusal("LayerNormalization", {"axis": 0}, "axis=0 has no rule"),
    Refusal("AlphaDropout", {"rate": 0.1, "noise_shape": [None, 1]}, "noise_shape=[None, 1] has no rule"),
    Refusal("Dropout", {"rate": 0.1, "noise_shape": [1, 2]}, "noise_shape=[1, 2] is not 4 sizes"),
    Refusal("Softmax", {"axis": "last"}, "has no rule"),
    Refusal("Reshape", {"target_shape": [7, -1]}, "does not hold 60 numbers"),
    Refusal("Reshape", {"target_shape": [-1]}, "its input's shape is not fixed", ((None, 3, 5),)),
    Refusal("Permute", {"dims": [1, 2]}, "dims=[1, 2] are not the axes 1 to 3"),
    Refusal("ZeroPadding2D", {"padding": [[1, 1]]}, "is not two whole numbers for each of 2 axes"),
    Refusal("MaxPooling2D", {"padding": "full"}, 'padding "full" has no rule'),
    Refusal("Resizing", {**_RESIZE, "interpolation": "area"}, "interpolation=area has no rule"),
    Refusal("Resizing", {**_RESIZE, "interpolation": "lanczos3"}, "interpolation=lanczos3 has no rule"),
    Refusal(
        "Resizing", {**_RESIZE, "interpolation": "bicubic"}, "only where the image grows by 2, 4, 8 or 16"
    ),
    Refusal(
        "Resizing",
        {**_RESIZE, "crop_to_aspect_ratio": True},
        "the size of its images is not fixed",
        ((None, None, 3),),
    ),
    Refusal("CenterCrop", {"height": 2, "width": 2}, "is not fixed in the file", ((None, None, 3),)),
    Refusal("RandomCrop", {"height": 2, "width": 2}, "in inference Keras 3 leaves its images as they are"),
    Refusal("UpSampling2D", {"interpolation": "lanczos5"}, "interpolation=lanczos5 has no rule"),
    Refusal("Rescaling", {"scale": [1.0, 2.0]}, "does not fit 5 channels"),
    Refusal("Rescaling", {"scale": "1/255"}, "is neither a number nor a list of them"),
    Refusal("Normalization", {"mean": [1.0, 2.0], "variance": [1.0, 2.0]}, "does not fit its input"),
    Refusal("Add", {}, "of 2 and 4 axes", (_IMAGE, (5,))),
    Refusal("Subtract", {}, "it merges 3 tensors", (_IMAGE,) * 3),
    Refusal("Concatenate", {}, "of 2 and 4 axes", (_IMAGE, (5,))),
    Refusal("Dot", {"axes": 0}, "a product along the batch has no rule", ((5,), (5,))),
    Refusal("LayerScale", {"projection_dim": 4}, "is not its input's last size"),
    Refusal("TFOpLambda", {"function": "signal.fft"}, "there is no rule for tf.signal.fft"),
    Refusal("TFOpLambda", {"function": "reshape"}, "does not leave the batch", call={"shape": [3, 20]}),
    Refusal("TFOpLambda", {"function": "math.reduce_mean"}, "axis=0 has no rule", call={"axis": 0}),
    Refusal("TFOpLambda", {"function": "cast"}, "a cast to uint8 has no rule", call={"dtype": "uint8"}),
    Refusal("Embedding", {"mask_zero": True}, "the layers behind it would skip steps", ((6,),)),
    Refusal("LSTM", {**_LSTM, "stateful": True}, "stateful=True has no rule", _STEPS),
    Refusal("LSTM", {**_LSTM, "return_state": True}, "return_state=True has no rule", _STEPS),
    Refusal("LSTM", {**_LSTM, "recurrent_dropout": 0.2}, "recurrent_dropout=0.2 has no rule", _STEPS),
    Refusal("LSTM", _LSTM, "it takes 2 tensors where one is expected", (*_STEPS, (3,))),
    Refusal("LSTM", {**_LSTM, "activation": "mine"}, 'its activation "mine" has no rule', _STEPS),
    Refusal(
        "GRU",
        {**_LSTM, "dropout": 0.2, "implementation": 1},
        "dropout=0.2 with implementation=1 has no rule",
        _STEPS,
    ),
    Refusal("SimpleRNN", {"units": 3, "activation": "tanh", "time_major": True}, "time_major=True", _STEPS),
    Refusal(
        "Bidirectional",
        {"merge_mode": None, "layer": {"class_name": "LSTM", "config": _LSTM}},
        "merge_mode=None has no rule",
        _STEPS,
    ),
    Refusal(
        "Bidirectional",
        {"layer": {"class_name": "ConvLSTM2D", "config": {}}},
        "it holds a ConvLSTM2D, for which there is no rule",
        ((3, *_IMAGE),),
    ),
    Refusal(
        "Bidirectional",
        {"layer": {"class_name": "LSTM", "config": {**_LSTM, "stateful": True}}},
        "of the LSTM inside stateful=True has no rule",
        _STEPS,
    ),
    Refusal(
        "TimeDistributed",
        {"layer": {"class_name": "BatchNormalization", "config": {}}},
        "in Keras 3 the BatchNormalization inside is trained step by step",
        _STEPS,
    ),
    Refusal(
        "TimeDistributed",
        {"layer": {"class_name": "Dropout", "config": {"rate": 0.2}}},
        "training=False in its call has no rule with a Dropout inside",
        _STEPS,
        "tf2.4",
        {"training": False},
    ),
    Refusal(
        "TimeDistributed",
        {"layer": {"class_name": "Embedding", "config": {"input_dim": 7, "output_dim": 4}}},
        "the Embedding inside has no rule here",
        _STEPS,
    ),
    Refusal("Attention", {"use_scale": True}, "use_scale=True has no rule", _STEPS * 2),
    Refusal("Attention", {}, "mask in its call has no rule", _STEPS * 2, call={"mask": [True]}),
    Refusal("MultiHeadAttention", {**_HEADS, "attention_axes": [1, 2]}, "attention_axes=[1, 2]", _STEPS),
    Refusal("MultiHeadAttention", {**_HEADS, "use_gate": True}, "use_gate=True has no rule", _STEPS),
    Refusal("MultiHeadAttention", _HEADS, "other than three axes", (_IMAGE,)),
    Refusal("MultiHeadAttention", _HEADS, "attention_mask in its call", _STEPS, call={"attention_mask": [1]}),
    Refusal("MultiHeadAttention", _HEADS, "no query or no value", _STEPS),
    Refusal("ops.Power", {}, "has no rule", call={"x2": None}),
)
