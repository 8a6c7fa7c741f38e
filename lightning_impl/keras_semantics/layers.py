"""Keras layers whose rule torch has no module for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.profile import TF24, Profile

# keras/layers/normalization/batch_normalization.py (Keras 3.15 and tf_keras 2.21): the defaults.
# Keras's momentum weighs the OLD statistic, torch's the new: torch momentum = 1 - Keras momentum.
BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.99


class Flatten(nn.Module):
    """Keras's Flatten: `(N, C, H, W)` to `(N, H*W*C)`, the order in which a channels_last Keras has it.

    On a tensor in torch.channels_last memory format the permutation is a view and costs nothing.
    """

    def forward(self, features: Tensor) -> Tensor:
        return features.permute(0, 2, 3, 1).flatten(1)


def relu_then_pool(features: Tensor, relu: nn.ReLU, pool: nn.MaxPool2d) -> Tensor:
    """ReLU, then max pooling, as the Keras nets have it; in training the two change places.

    relu(max(x)) = max(relu(x)), and the gradients are the same to the bit: a window whose largest value is
    positive passes its gradient to that value either way, any other passes none. After the pooling there are
    a quarter as many values to clip, which saves time on a CPU (docs/benchmarks.md). Evaluation keeps the
    order, so that every layer's activation can be held against Keras's.

    Args:
        features: `(N, C, H, W)`.
    """
    return relu(pool(features)) if relu.training else pool(relu(features))


class Dropout(nn.Module):
    """Keras's Dropout: in training each value is zero with probability `rate`, the others are scaled up.

    The same distribution as nn.Dropout. On the CPU torch draws one random number a value, in one thread,
    which costs a fifth of v3's training step; here one 64-bit draw serves eight values wherever `rate` is a
    multiple of 1/256 (0.25 and 0.5 are), so that nothing is rounded. Any other rate, and other devices, draw
    a number a value.

    Args:
        rate: In [0, 1): the share set to zero.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, features: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return features
        # As Keras has it, the kept are scaled up in training: nothing is left to do in evaluation.
        return features * self.keep_mask(features).to(features.dtype).mul_(1 / (1 - self.rate))

    def keep_mask(self, features: Tensor) -> Tensor:
        """Which values are kept: booleans of the features' shape. A replay puts recorded ones in place."""
        threshold = self.rate * 256
        if features.device.type != "cpu" or threshold != int(threshold):
            return torch.rand_like(features) >= self.rate
        count = features.numel()
        # From -2**63 without an upper end: all 64 bits are random.
        bits = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None).view(torch.uint8)
        # Laid out in memory as the features are, so that the product runs straight through both.
        strides = torch.empty_like(features, device="meta").stride()
        return bits.as_strided(features.shape, strides) >= int(threshold)

    def extra_repr(self) -> str:
        return f"{self.rate}"


class DropoutPerImage(Dropout):
    """Keras's Dropout with noise_shape=(None, 1, 1, 1): all of an image is dropped, or nothing (D49).

    keras.applications' EfficientNet ends its residual branches in it: stochastic depth.
    """

    def keep_mask(self, features: Tensor) -> Tensor:
        shape = (len(features),) + (1,) * (features.dim() - 1)
        return torch.rand(shape, device=features.device) >= self.rate


class BatchNorm(nn.Module):
    """Keras's BatchNormalization over the channel axis of `(N, C)` or `(N, C, H, W)`.

    Normalises with the biased batch variance in training, as torch does. What differs from
    nn.BatchNorm: epsilon, momentum, and which variance goes into the running one (`Profile`).

    Args:
        channels: C.
        profile: The Keras generation whose running-variance rule holds.
        epsilon: Added to the variance.
        momentum: Keras's: the weight of the old statistic, in [0, 1].
        trainable: False is Keras's `trainable=False` since TF 2: not only are scale and offset left as they
            are, the layer normalises by its running statistics in training too, and keeps them
            (keras 3.15 layers/normalization/batch_normalization.py, `call`).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        channels: int,
        profile: Profile = TF24,
        epsilon: float = BATCH_NORM_EPSILON,
        momentum: float = BATCH_NORM_MOMENTUM,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.profile = profile
        self.epsilon = epsilon
        self.momentum = momentum
        self.decay = 1 - momentum
        if profile.batch_norm_decay_is_float32:
            self.decay = torch.tensor(self.decay, dtype=torch.float32).item()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.trainable = trainable
        self.requires_grad_(trainable)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        if not self._takes_batch_statistics():
            return self._normalise(features, self.running_var)
        count = features.numel() // self.channels
        if count == 1:
            return self._normalise_one_value(features)
        if self._running_variance_is_unbiased(features):
            return self._normalise(features, self.running_var)
        # torch puts (1 - decay) * old + decay * unbiased into a copy (the buffer itself is saved for
        # the backward pass, which must not see it change); biased = unbiased * (n - 1) / n.
        mixed = self.running_var.clone()
        normalised = self._normalise(features, mixed)
        old = self.running_var * (1 - self.decay)
        self.running_var.copy_(old + (mixed - old) * ((count - 1) / count))
        return normalised

    def _normalise(self, features: Tensor, running_var: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            features,
            self.running_mean,
            running_var,
            self.weight,
            self.bias,
            training=self._takes_batch_statistics(),
            momentum=self.decay,
            eps=self.epsilon,
        )

    @torch.no_grad()
    def _keep_statistics_of_one_value(self, features: Tensor) -> None:
        self.running_mean.mul_(1 - self.decay).add_(features.flatten(), alpha=self.decay)
        self.running_var.mul_(1 - self.decay)

    def _normalise_one_value(self, features: Tensor) -> Tensor:
        """What torch refuses and Keras does with a last batch of one image: its variance is 0.

        TF's fused kernel divides by max(n - 1, 1) (tensorflow core/kernels/fused_batch_norm_op.cc).
        """
        self._keep_statistics_of_one_value(features)
        shape = (1, -1) + (1,) * (features.dim() - 2)
        # A gradient of zeros, not none: optimizers take a step with it.
        return (features - features) * self.weight.view(shape) + self.bias.view(shape)

    def extra_repr(self) -> str:
        return f"{self.channels}, epsilon={self.epsilon}, momentum={self.momentum}, {self.profile.name}"

    def _takes_batch_statistics(self) -> bool:
        return self.training and self.trainable

    def _running_variance_is_unbiased(self, features: Tensor) -> bool:
        # TF's fused kernel takes 4-d input in float32 or lower only; everything else is biased.
        return self.profile.fused_batch_norm_is_unbiased and features.dim() == 4 and features.itemsize <= 4
