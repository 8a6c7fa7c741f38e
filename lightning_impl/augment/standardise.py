"""What ImageDataGenerator's `standardize` does to every image, in training and validation, on the device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.profile import Profile
from parity_common.augment_settings import AugmentSettings

# keras-preprocessing 1.1.2 image/image_data_generator.py, `standardize`, and keras 3.15
# legacy/preprocessing/image.py.
STANDARD_EPSILON = 1e-6


class Standardise(nn.Module):
    """Rescaling, centring, scaling to unit deviation, whitening: in ImageDataGenerator's order.

    Figures of the training set are buffers, so that a checkpoint has them; `fit` works them out.

    Args:
        settings: ImageDataGenerator's arguments.
        profile: The Keras generation: whitening differs.
        image_size: Height and width in pixels, for whitening.
    """

    mean: Tensor
    deviation: Tensor
    whitening: Tensor

    def __init__(self, settings: AugmentSettings, profile: Profile, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.rescale = settings.rescale
        self.epsilon = settings.zca_epsilon
        self.profile = profile
        self.whitens = settings.zca_whitening
        # Each asks for what it stands on, as ImageDataGenerator's constructor sees to.
        self.scales_features = settings.featurewise_std_normalization and not self.whitens
        self.centres_features = settings.featurewise_center or self.scales_features or self.whitens
        self.scales_samples = settings.samplewise_std_normalization
        self.centres_samples = settings.samplewise_center or self.scales_samples
        if self.centres_features:
            self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        if self.scales_features:
            self.register_buffer("deviation", torch.ones(1, 3, 1, 1))
        if self.whitens:
            self.register_buffer("whitening", torch.eye(image_size[0] * image_size[1] * 3))

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` of 0-255 in a float type, changed in place, standardised."""
        if self.rescale is not None:
            images = images.mul_(self.rescale)
        if self.centres_samples:
            images = images - images.mean((1, 2, 3), keepdim=True)
        if self.scales_samples:
            deviation = images.std((1, 2, 3), correction=0, keepdim=True)
            images = images / (deviation + STANDARD_EPSILON)
        if self.centres_features:
            images = images - self.mean
        if self.scales_features:
            images = images / (self.deviation + STANDARD_EPSILON)
        if self.whitens:
            flat = images.permute(0, 2, 3, 1)
            images = (flat.flatten(1) @ self.whitening).view_as(flat).permute(0, 3, 1, 2)
        return images

    @torch.no_grad()
    def fit(self, chunks: Iterable[Tensor]) -> None:
        """Works out the figures of the training set, as ImageDataGenerator.fit does without `augment`.

        Sums are in float64. Images are only rescaled first, even where they are centred one by one later:
        that is Keras's.

        Args:
            chunks: The training images, `(M, H, W, 3)` uint8 each; gone through up to three times.
        """
        if not self.centres_features:
            return
        rescale = 1.0 if self.rescale is None else self.rescale

        def each() -> Iterable[Tensor]:
            return (chunk.double().mul_(rescale) for chunk in chunks)

        count = sum(chunk.shape[:3].numel() for chunk in chunks)
        mean = sum((chunk.sum((0, 1, 2)) for chunk in each()), torch.zeros(3).double()) / count
        self.mean.copy_(mean.view(1, 3, 1, 1))
        if self.scales_features:
            squares = sum(
                ((chunk - mean).square().sum((0, 1, 2)) for chunk in each()), torch.zeros(3).double()
            )
            self.deviation.copy_((squares / count).sqrt().view(1, 3, 1, 1))
        if self.whitens:
            flat = torch.cat([(chunk - mean).flatten(1) for chunk in each()])
            self.whitening.copy_(_whitening(flat, self.epsilon, self.profile))


def _whitening(flat: Tensor, epsilon: float, profile: Profile) -> Tensor:
    """The matrix that decorrelates, from centred images `(N, D)`.

    keras-preprocessing 1.1.2 takes 1 / sqrt(s + epsilon) of the covariance's singular values s, keras 3.15
    sqrt(N) / (s + epsilon) of the images' own.
    """
    if profile.whitening_is_of_covariance:
        vectors, values, _ = torch.linalg.svd(flat.T @ flat / len(flat))
        scale = (values + epsilon).rsqrt()
    else:
        vectors, values, _ = torch.linalg.svd(flat.T, full_matrices=False)
        scale = len(flat) ** 0.5 / (values + epsilon)
    return (vectors * scale) @ vectors.T


def standardising_of(settings: AugmentSettings) -> dict[str, Any]:
    """The part of the arguments that a model keeps, as plain values: a checkpoint holds no classes."""
    names = (
        "rescale",
        "samplewise_center",
        "samplewise_std_normalization",
        "featurewise_center",
        "featurewise_std_normalization",
        "zca_whitening",
        "zca_epsilon",
    )
    return {name: getattr(settings, name) for name in names}
