"""What final may stand on: keras.applications' nets, made of torchvision's modules, and EfficientNet-Lite0.

Each file lists what is changed, by number.
"""

from lightning_impl.models.backbones.efficientnet import EfficientNetB0
from lightning_impl.models.backbones.efficientnet_lite import EfficientNetLite0
from lightning_impl.models.backbones.mobilenet import MobileNetV2
from lightning_impl.models.backbones.resnet import ResNet50

Backbone = EfficientNetB0 | EfficientNetLite0 | MobileNetV2 | ResNet50

BACKBONES: dict[str, type[Backbone]] = {
    "efficientnet_b0": EfficientNetB0,
    "efficientnet_lite0": EfficientNetLite0,
    "mobilenet_v2": MobileNetV2,
    "resnet50": ResNet50,
}
"""`backbone` of final's arch_arguments to the class: called with the profile and the preprocessing, with
drop_connect_rate, too, where it has stochastic depth."""
