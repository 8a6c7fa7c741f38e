"""v3 of the record, 62.9%: normalised, He start. Twin: keras_reference/models/v3.py."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import glorot_uniform_, he_normal_, initialise_
from lightning_impl.keras_semantics.layers import BatchNorm, Dropout, Flatten, relu_then_pool
from lightning_impl.keras_semantics.profile import TF24, Profile


class V3(nn.Module):
    """Four normalised convolutions and a smaller dense layer than v2's.

    Args:
        classes: How many.
        image_size: Height and width in pixels.
        profile: The Keras generation, for BatchNormalization's running variance.
    """

    # Fewer pixels a side leave nothing after the last pooling.
    smallest_side = 16

    def __init__(
        self, classes: int = 30, image_size: tuple[int, int] = (64, 64), profile: Profile = TF24
    ) -> None:
        super().__init__()
        height, width = (side // 16 for side in image_size)
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.bn1 = BatchNorm(32, profile)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.drop1 = Dropout(0.25)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.bn2 = BatchNorm(64, profile)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.drop2 = Dropout(0.25)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1)
        self.bn3 = BatchNorm(128, profile)
        self.relu3 = nn.ReLU()
        self.pool3 = nn.MaxPool2d(2)
        self.drop3 = Dropout(0.25)
        self.conv4 = nn.Conv2d(128, 128, 3, padding=1)
        self.bn4 = BatchNorm(128, profile)
        self.relu4 = nn.ReLU()
        self.pool4 = nn.MaxPool2d(2)
        self.drop4 = Dropout(0.25)
        self.flatten = Flatten()
        self.dense = nn.Linear(height * width * 128, 256)
        self.bn_dense = BatchNorm(256, profile)
        self.relu_dense = nn.ReLU()
        self.drop_dense = Dropout(0.5)
        self.head = nn.Linear(256, classes)
        self.softmax = nn.Softmax(dim=1)
        initialise_(self, he_normal_)
        # He is for the layers that a relu follows; the head keeps Keras's default.
        glorot_uniform_(self.head.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` in [0, 1] to logits `(N, classes)`."""
        x = self.drop1(relu_then_pool(self.bn1(self.conv1(images)), self.relu1, self.pool1))
        x = self.drop2(relu_then_pool(self.bn2(self.conv2(x)), self.relu2, self.pool2))
        x = self.drop3(relu_then_pool(self.bn3(self.conv3(x)), self.relu3, self.pool3))
        x = self.drop4(relu_then_pool(self.bn4(self.conv4(x)), self.relu4, self.pool4))
        x = self.drop_dense(self.relu_dense(self.bn_dense(self.dense(self.flatten(x)))))
        return self.head(x)

    def probabilities(self, images: Tensor) -> Tensor:
        """What the Keras twin returns: softmax of the logits, `(N, classes)`."""
        return self.softmax(self(images))
