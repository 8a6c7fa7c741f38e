"""Keras's layers that augment: in inference they do nothing.

Source: keras 3.15 layers/preprocessing/image_preprocessing/random_*.py; tf_keras 2.21
layers/preprocessing/image_preprocessing.py.
"""

from __future__ import annotations

from collections.abc import Callable

from porting.rules.piece import Make, Piece, Site, Step

# Keras's layer to the setting of data.augment that does the like; None: there is none.
_AUGMENTATIONS: dict[str, str | None] = {
    "RandomFlip": "horizontal_flip and vertical_flip",
    "RandomRotation": "rotation_range, in degrees,",
    "RandomZoom": "zoom_range",
    "RandomTranslation": "height_shift_range and width_shift_range",
    "RandomShear": "shear_range",
    **dict.fromkeys(("RandomContrast", "RandomBrightness", "RandomHue", "RandomSaturation")),
    **dict.fromkeys(("RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomGrayscale")),
    **dict.fromkeys(("RandomInvert", "RandomPosterization", "RandomPerspective", "RandomElasticTransform")),
    **dict.fromkeys(("RandomErasing", "RandomGaussianBlur", "RandomHeight", "RandomWidth")),
}


def _augmentation(setting: str | None) -> Callable[[Site], Piece]:
    does = f"{setting or 'no setting'} of data.augment does the like"

    def rule(site: Site) -> Piece:
        order = site.input.order
        note = f"augments in training alone, which is not carried over: {does}"
        step = Step(Make("nn.Identity"))
        return Piece((step,), orders=(order,), order=order, notes=(note,), shape=site.input.shape)

    return rule


RULES = {name: _augmentation(setting) for name, setting in _AUGMENTATIONS.items()}
