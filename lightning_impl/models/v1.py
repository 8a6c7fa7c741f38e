"""v1 of the record, 23.5%: a basic CNN, 128 x 128, no augmentation. Twin: keras_reference/models/v1.py."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import initialise_
from lightning_impl.keras_semantics.layers import Flatten, relu_then_pool
from lightning_impl.keras_semantics.profile import TF24, Profile


class V1(nn.Module):
    """Two unpadded convolutions and a dense layer.

    Args:
        classes: How many.
        image_size: Height and width in pixels.
        profile: The Keras generation; nothing in this net depends on it.
    """

    # Fewer pixels a side leave nothing after the last pooling.
    smallest_side = 10

    def __init__(
        self, classes: int = 30, image_size: tuple[int, int] = (128, 128), profile: Profile = TF24
    ) -> None:
        super().__init__()
        # An unpadded 3 x 3 convolution takes two pixels away, a pooling halves and drops the odd one.
        height, width = (((side - 2) // 2 - 2) // 2 for side in image_size)
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = Flatten()
        self.dense = nn.Linear(height * width * 64, 64)
        self.relu_dense = nn.ReLU()
        self.head = nn.Linear(64, classes)
        self.softmax = nn.Softmax(dim=1)
        initialise_(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [0, 1] to logits `(N, classes)`."""
        x = relu_then_pool(self.conv1(images), self.relu1, self.pool1)
        x = relu_then_pool(self.conv2(x), self.relu2, self.pool2)
        x = self.relu_dense(self.dense(self.flatten(x)))
        return self.head(x)

    def probabilities(self, images: Tensor) -> Tensor:
        """What the Keras twin returns: softmax of the logits, `(N, classes)`."""
        return self.softmax(self(images))
