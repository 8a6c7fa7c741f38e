"""Other names of classes and arguments, Keras 1's above all, translated to Keras 2's.

Source: keras 2.0 legacy/interfaces.py and the API changes listed in its release notes. Keras 1's merging,
recurrent and highway layers are left as they are: they have no exact counterpart, and no rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from porting.keras_file.problems import KerasFileError, shown

_CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
}
# What TF 1 calls two classes of the same rule (tf_keras 2.21 layers/serialization.py), and the efficientnet
# package its Dropout whose noise_shape may hold None, as every Keras's may today.
_SAME = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "FixedDropout": "Dropout",
}
_ARGUMENTS = {
    "nb_filter": "filters",
    "subsample": "strides",
    "subsample_length": "strides",
    "border_mode": "padding",
    "atrous_rate": "dilation_rate",
    "bias": "use_bias",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "init": "kernel_initializer",
    "output_dim": "units",
    "p": "rate",
    "pool_length": "pool_size",
    "stride": "strides",
}
_DATA_FORMATS = {"tf": "channels_last", "th": "channels_first"}


def modernised(
    class_name: str, config: Mapping[str, Any], keras_version: str
) -> tuple[str, Mapping[str, Any]]:
    """A layer's class and config in Keras 2's words; those of a later Keras as they are.

    Raises:
        KerasFileError: A convolution in Theano's order, whose kernels have their axes otherwise.
    """
    if not keras_version.startswith("1"):
        return _SAME.get(class_name, class_name), config
    if config.get("dim_ordering") == "th" and "onvolution" in class_name:
        raise KerasFileError(
            f'layer "{shown(config.get("name"))}" of Keras 1 has dim_ordering "th", with other axes in its '
            "kernel: load it with Keras 2 and save it again"
        )
    renamed = {_ARGUMENTS.get(key, key): value for key, value in config.items()}
    if class_name == "Embedding":
        renamed["output_dim"] = renamed.pop("units", None)
    if class_name == "BatchNormalization":
        # Keras 1 always had both.
        renamed |= {"scale": True, "center": True}
    if "nb_row" in config and "nb_col" in config:
        renamed["kernel_size"] = [renamed.pop("nb_row"), renamed.pop("nb_col")]
    if "filter_length" in config:
        renamed["kernel_size"] = [renamed.pop("filter_length")]
    ordering = renamed.pop("dim_ordering", None)
    if isinstance(ordering, str):
        renamed["data_format"] = _DATA_FORMATS.get(ordering, ordering)
    return _CLASSES.get(class_name, class_name), renamed
