"""A plain CNN of any depth and width, for studies. Twin: keras_reference/models/plain.py."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import cast

from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import initialise_
from lightning_impl.keras_semantics.layers import Flatten, relu_then_pool
from lightning_impl.keras_semantics.profile import TF24, Profile
from parity_common.plain_net import check_plain


class Plain(nn.Module):
    """Stages of a padded convolution and a pooling, then dense layers; nothing is dropped or normalised.

    Args:
        classes: How many.
        image_size: Height and width in pixels.
        profile: The Keras generation; nothing in this net depends on it.
        filters: Of each stage's convolution, 1 or more; each stage halves height and width.
        dense: Width of each dense layer before the head, 1 or more; none is allowed.

    Raises:
        UserError: As check_plain.
    """

    # With one stage; the constructor knows how many there are.
    smallest_side = 2

    def __init__(
        self,
        classes: int = 30,
        image_size: tuple[int, int] = (64, 64),
        profile: Profile = TF24,
        filters: Sequence[int] = (32, 64),
        dense: Sequence[int] = (64,),
    ) -> None:
        super().__init__()
        check_plain(image_size, filters, dense)
        self.stages, self.hidden = len(filters), len(dense)
        width = 3
        for stage, wider in enumerate(filters, start=1):
            self.add_module(f"conv{stage}", nn.Conv2d(width, wider, 3, padding=1))
            self.add_module(f"relu{stage}", nn.ReLU())
            self.add_module(f"pool{stage}", nn.MaxPool2d(2))
            width = wider
        self.flatten = Flatten()
        width *= prod(side // 2 ** len(filters) for side in image_size)
        for number, wider in enumerate(dense, start=1):
            self.add_module(f"dense{number}", nn.Linear(width, wider))
            self.add_module(f"relu_dense{number}", nn.ReLU())
            width = wider
        self.head = nn.Linear(width, classes)
        self.softmax = nn.Softmax(dim=1)
        initialise_(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [0, 1] to logits `(N, classes)`."""
        x = images
        for stage in range(1, self.stages + 1):
            conv, relu, pool = (self.get_submodule(f"{name}{stage}") for name in ("conv", "relu", "pool"))
            x = relu_then_pool(conv(x), cast(nn.ReLU, relu), cast(nn.MaxPool2d, pool))
        x = self.flatten(x)
        for number in range(1, self.hidden + 1):
            x = self.get_submodule(f"relu_dense{number}")(self.get_submodule(f"dense{number}")(x))
        return self.head(x)

    def probabilities(self, images: Tensor) -> Tensor:
        """What the Keras twin returns: softmax of the logits, `(N, classes)`."""
        return self.softmax(self(images))
