"""ResNet50 as keras.applications has it, of torchvision's modules, with torchvision's weight names."""

from __future__ import annotations

from functools import partial
from typing import Any

import torchvision
from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import initialise_
from lightning_impl.keras_semantics.layers import BatchNorm
from lightning_impl.keras_semantics.preprocessing import CaffePreprocessing, torchvision_preprocessing
from lightning_impl.keras_semantics.profile import TF24, Profile
from lightning_impl.models.backbones.parts import Add, PaddedConv2d, PaddedMaxPool2d, changed

# keras 3.15 applications/resnet.py (D47).
EPSILON = 1.001e-5
STAGES = 4


class ResNet50(nn.Module):
    """keras.applications.ResNet50(include_top=False), after its `preprocess_input`.

    Against torchvision's: a stage's stride stands in its first 1 x 1 convolution (D46), convolutions have a
    bias (D50), BatchNormalization has Keras's constants (D09, D47), blue comes first and means are taken away
    inside the net (D48).

    Args:
        profile: The Keras generation.
        preprocessing: "torchvision": what torchvision's net reads; else what Keras's does.
    """

    channels = 2048

    def __init__(self, profile: Profile = TF24, preprocessing: str = "keras") -> None:
        super().__init__()
        source = torchvision.models.resnet50(norm_layer=partial(BatchNorm, profile=profile, epsilon=EPSILON))
        is_torchvision = preprocessing == "torchvision"
        self.preprocessing = torchvision_preprocessing() if is_torchvision else CaffePreprocessing()
        self.conv1 = changed(source.conv1, PaddedConv2d, padding=0, bias=True, pad=nn.ZeroPad2d(3))
        self.bn1 = source.bn1
        self.relu = source.relu
        self.maxpool = PaddedMaxPool2d(3, stride=2, pad=nn.ZeroPad2d(1))
        for stage in range(1, STAGES + 1):
            blocks = getattr(source, f"layer{stage}")
            self.add_module(f"layer{stage}", nn.Sequential(*(Bottleneck(block) for block in blocks)))
        initialise_(self)
        self.keras_names = _keras_names(self)

    def forward(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W)` of 0-255 to features `(N, 2048, ceil(H / 32), ceil(W / 32))`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(self.preprocessing(images)))))
        for stage in range(1, STAGES + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        return x


class Bottleneck(nn.Module):
    """One block: torchvision's children with biases and Keras's stride, each ReLU and the adding a module.

    Args:
        block: torchvision's.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.conv1 = changed(block.conv1, nn.Conv2d, stride=block.stride, bias=True)
        self.bn1 = block.bn1
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = changed(block.conv2, nn.Conv2d, stride=1, bias=True)
        self.bn2 = block.bn2
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = changed(block.conv3, nn.Conv2d, bias=True)
        self.bn3 = block.bn3
        self.downsample: nn.Sequential | None = block.downsample
        if self.downsample is not None:
            self.downsample[0] = changed(self.downsample[0], nn.Conv2d, bias=True)  # type: ignore[arg-type]
        self.add = Add()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """`(N, C, H, W)`."""
        x = self.relu1(self.bn1(self.conv1(features)))
        x = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(x)))))
        shortcut = features if self.downsample is None else self.downsample(features)
        return self.relu(self.add(shortcut, x))


def _keras_names(net: nn.Module) -> dict[str, str]:
    """Keras's layers, in Keras's order, to the modules that stand for them."""
    names = {"preprocessing": "preprocessing", "conv1_pad": "conv1.pad", "conv1_conv": "conv1"}
    names |= {"conv1_bn": "bn1", "conv1_relu": "relu", "pool1_pad": "maxpool.pad", "pool1_pool": "maxpool"}
    for stage in range(1, STAGES + 1):
        for place, block in enumerate(net.get_submodule(f"layer{stage}").children()):
            keras, ours = f"conv{stage + 1}_block{place + 1}_", f"layer{stage}.{place}."
            for number in (1, 2):
                names |= {
                    f"{keras}{number}_conv": f"{ours}conv{number}",
                    f"{keras}{number}_bn": f"{ours}bn{number}",
                }
                names[f"{keras}{number}_relu"] = f"{ours}relu{number}"
            # Keras orders the layers of two branches by their distance from the end.
            branches = {"3_conv": "conv3", "3_bn": "bn3"}
            if block.downsample is not None:
                branches = {
                    "0_conv": "downsample.0",
                    "3_conv": "conv3",
                    "0_bn": "downsample.1",
                    "3_bn": "bn3",
                }
            names |= {keras + layer: ours + module for layer, module in branches.items()}
            names |= {f"{keras}add": f"{ours}add", f"{keras}out": f"{ours}relu"}
    return names
