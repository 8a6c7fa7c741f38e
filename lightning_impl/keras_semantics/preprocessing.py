"""Keras's layers that bring images of 0-255 to what a pretrained net reads, as parts of the net (D48)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# keras/backend/config.py (Keras 3.15) and tf_keras backend_config.py: `epsilon()`.
LEAST_DEVIATION = 1e-7
# keras/applications/imagenet_utils.py, mode "caffe": ImageNet's means, blue, green, red, in grey levels.
CAFFE_MEANS = (103.939, 116.779, 123.68)

# Of red, green, blue in [0, 1]: torchvision/transforms/_presets.py; keras 3.15 applications/efficientnet.py.
IMAGENET_MEANS = (0.485, 0.456, 0.406)
IMAGENET_DEVIATIONS = (0.229, 0.224, 0.225)


class Rescaling(nn.Module):
    """Keras's Rescaling: `features * scale + offset`.

    Both numbers pass through float32 in a float64 model, too (D28): keras 3.15
    layers/preprocessing/rescaling.py and tf_keras 2.21 layers/preprocessing/image_preprocessing.py hand
    Python numbers to `tf.cast`.

    Args:
        scale: One number, or one for each channel.
        offset: The same.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: float | Sequence[float], offset: float | Sequence[float] = 0.0) -> None:
        super().__init__()
        # No weights of Keras's, hence no part of the state. As float32 buffers they keep its rounding when
        # the module is turned into a float64 one.
        self.register_buffer("scale", _by_channel(scale), persistent=False)
        self.register_buffer("offset", _by_channel(offset), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)`, any range."""
        return features * self.scale + self.offset


class Normalization(nn.Module):
    """Keras's Normalization over channels: subtracts a mean, divides by the root of a variance.

    Both are weights that no optimizer trains; `count` is what `adapt` keeps, and plays no part here.

    Args:
        channels: C.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)`, any range."""
        deviation = self.variance.sqrt().clamp(min=LEAST_DEVIATION)
        return (features - self.mean[:, None, None]) / deviation[:, None, None]


class CaffePreprocessing(nn.Module):
    """`preprocess_input` of mode "caffe", as ResNet50's: red and blue change places, means are taken away."""

    def forward(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` of 0-255, red first."""
        means = images.new_tensor(CAFFE_MEANS)
        return images.flip(1) - means[:, None, None]


def torchvision_preprocessing() -> Rescaling:
    """What torchvision's nets read, of images of 0-255: (x / 255 - mean) / deviation, red first."""
    return Rescaling(
        [1 / (255 * deviation) for deviation in IMAGENET_DEVIATIONS],
        [-mean / deviation for mean, deviation in zip(IMAGENET_MEANS, IMAGENET_DEVIATIONS, strict=True)],
    )


def _by_channel(numbers: float | Sequence[float]) -> Tensor:
    tensor = torch.tensor(numbers, dtype=torch.float32)
    return tensor if tensor.dim() == 0 else tensor[:, None, None]
