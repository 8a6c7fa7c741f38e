"""Keras's layers that augment: in inference they do nothing.

Source: keras 3.15 layers/preprocessing/image_preprocessing/random_*.py; tf_keras 2.21
layers/preprocessing/image_preprocessing.py.
"""

from __future__ import annotations

from collections.abc import Callable

from porting.graph import Layer
from porting.rules.piece import Make, Piece, Site, Step

_COLOUR = "ColorJitter"
# Keras's layer to the class of torchvision.transforms.v2 of its kind; None: there is none.
_KINDS: dict[str, str | None] = {
    "RandomFlip": "RandomHorizontalFlip",
    "RandomRotation": "RandomRotation",
    **dict.fromkeys(("RandomZoom", "RandomTranslation", "RandomShear"), "RandomAffine"),
    **dict.fromkeys(("RandomContrast", "RandomBrightness", "RandomHue", "RandomSaturation"), _COLOUR),
    **dict.fromkeys(("RandomColorJitter", "RandomColorDegeneration"), _COLOUR),
    "RandomSharpness": "RandomAdjustSharpness",
    "RandomGrayscale": "RandomGrayscale",
    "RandomInvert": "RandomInvert",
    "RandomPosterization": "RandomPosterize",
    "RandomPerspective": "RandomPerspective",
    "RandomElasticTransform": "ElasticTransform",
    "RandomErasing": "RandomErasing",
    "RandomGaussianBlur": "GaussianBlur",
    **dict.fromkeys(("RandomHeight", "RandomWidth")),
}


def augments(layer: Layer) -> bool:
    """Whether a layer augments while Keras trains, and is left out here."""
    return layer.package is None and layer.class_name in RULES


def _augmentation(name: str, kind: str | None) -> Callable[[Site], Piece]:
    like = "" if kind is None else f"; torchvision.transforms.v2.{kind} is of its kind"

    def rule(site: Site) -> Piece:
        order = site.input.order
        note = f"({name}) augments while Keras trains, and does nothing here: augment in your data{like}"
        step = Step(Make("nn.Identity"))
        return Piece((step,), orders=(order,), order=order, notes=(note,), shape=site.input.shape)

    return rule


RULES = {name: _augmentation(name, kind) for name, kind in _KINDS.items()}
