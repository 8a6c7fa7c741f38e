"""The torch ports of training_cases.py."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_impl.keras_semantics.activations import GELU, HardSigmoid, LeakyReLU
from lightning_impl.keras_semantics.layers import BatchNorm, Dropout, DropoutPerImage, Flatten
from lightning_impl.keras_semantics.padding import SamePadConv2d
from lightning_impl.keras_semantics.pooling import GlobalAveragePool2d, SameAveragePool2d, SameMaxPool2d
from lightning_impl.keras_semantics.preprocessing import Rescaling
from lightning_impl.keras_semantics.profile import Profile
from lightning_impl.models import V1, V2, V3
from lightning_impl.models.backbones.parts import Add


class SmallPort(nn.Module):
    """The port of `small`: 13 x 10 pixels, strides and `same` padding, one frozen BatchNormalization."""

    def __init__(self, classes: int, profile: Profile) -> None:
        super().__init__()
        self.conv1 = SamePadConv2d(3, 6, 3, stride=2)
        self.bn1 = BatchNorm(6, profile)
        self.relu1 = nn.ReLU()
        self.average = SameAveragePool2d(3, stride=2)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.bn_frozen = BatchNorm(8, profile, trainable=False)
        self.relu2 = nn.ReLU()
        self.most = SameMaxPool2d(2)
        self.drop = Dropout(0.2)
        self.flatten = Flatten()
        self.head = nn.Linear(2 * 2 * 8, classes)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.average(self.relu1(self.bn1(self.conv1(images))))
        x = self.most(self.relu2(self.bn_frozen(self.conv2(x))))
        return self.head(self.flatten(self.drop(x)))

    def probabilities(self, images: Tensor) -> Tensor:
        return self.softmax(self(images))


class ActivationsPort(nn.Module):
    """The port of `small_activations`: 13 x 10 pixels."""

    def __init__(self, classes: int, profile: Profile) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3)
        self.leaky = LeakyReLU()
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.gelu = GELU()
        self.conv3 = nn.Conv2d(8, 8, 3)
        self.gate = HardSigmoid(profile)
        self.flatten = Flatten()
        self.head = nn.Linear(7 * 4 * 8, classes)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.gelu(self.conv2(self.leaky(self.conv1(images))))
        return self.head(self.flatten(self.gate(self.conv3(x))))

    def probabilities(self, images: Tensor) -> Tensor:
        return self.softmax(self(images))


class BlocksPort(nn.Module):
    """The port of `small_blocks`: 13 x 10 pixels, stride in the block's first 1 x 1 convolution."""

    def __init__(self, classes: int, profile: Profile) -> None:
        super().__init__()
        self.rescaling = Rescaling(2.0, -1.0)
        self.conv0 = nn.Conv2d(3, 6, 3, padding=1)
        self.relu0 = nn.ReLU()
        self.conv_shortcut = nn.Conv2d(6, 8, 1, stride=2)
        self.bn_shortcut = BatchNorm(8, profile, epsilon=1.001e-5, momentum=0.999)
        self.conv1 = nn.Conv2d(6, 4, 1, stride=2)
        self.bn1 = BatchNorm(4, profile, epsilon=1.001e-5, momentum=0.999)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.bn2 = BatchNorm(4, profile, epsilon=1.001e-5, momentum=0.999)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(4, 8, 1)
        self.bn3 = BatchNorm(8, profile, epsilon=1.001e-5, momentum=0.999)
        self.drop_image = DropoutPerImage(0.25)
        self.add = Add()
        self.out = nn.ReLU()
        self.pool = GlobalAveragePool2d()
        self.head = nn.Linear(8, classes)
        self.softmax = nn.Softmax(dim=1)
        # Keras calls it with training=False (D51).
        self.never_train = ("bn2",) if profile.call_argument_training_holds else ()

    def train(self, mode: bool = True) -> BlocksPort:
        super().train(mode)
        for name in self.never_train:
            self.get_submodule(name).eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        block = self.relu0(self.conv0(self.rescaling(images)))
        x = self.relu1(self.bn1(self.conv1(block)))
        x = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(x)))))
        shortcut = self.bn_shortcut(self.conv_shortcut(block))
        return self.head(self.pool(self.out(self.add(shortcut, self.drop_image(x)))))

    def probabilities(self, images: Tensor) -> Tensor:
        return self.softmax(self(images))


PORTS: dict[str, type[nn.Module]] = {
    "v1_adam": V1,
    "v2_adam": V2,
    "v3_nadam": V3,
    "small_sgd": SmallPort,
    "small_saturated": SmallPort,
    "small_rmsprop": SmallPort,
    "small_adam": SmallPort,
    "small_ema": SmallPort,
    "small_cosine": SmallPort,
    "small_activations": ActivationsPort,
    "small_blocks": BlocksPort,
}
