"""keras.applications' backbones, made of torchvision's; each file lists what is changed, by number."""

from lightning_impl.models.backbones.efficientnet import EfficientNetB0
from lightning_impl.models.backbones.mobilenet import MobileNetV2
from lightning_impl.models.backbones.resnet import ResNet50

BACKBONES: dict[str, type[EfficientNetB0] | type[MobileNetV2] | type[ResNet50]] = {
    "efficientnet_b0": EfficientNetB0,
    "mobilenet_v2": MobileNetV2,
    "resnet50": ResNet50,
}
"""`backbone` of final's arch_arguments to the class: called with the profile."""
