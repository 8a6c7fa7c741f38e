"""Images on their way into a net, and what acts in training alone: in inference."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

from parity_tests.rule_cases.case import Case

_IMAGE = (6, 7, 3)
_CAST = "its numbers are cast through float32 (D28)"
_RESIZE = "tf.image.resize computes in float32"
_TF, _K3 = ("tf2.4",), ("keras3",)


def _image(
    layer: str, shape: tuple[int, ...] = _IMAGE, generations: tuple[str, ...] = (*_TF, *_K3), **arguments: Any
) -> Case:
    rounds = _CAST if layer == "Rescaling" else _RESIZE
    return Case(layer, (shape,), arguments, None, "", generations, "levels", rounds)


CASES = [
    _image("Rescaling", scale=1 / 255),
    _image("Rescaling", scale=1 / 127.5, offset=-1),
    _image("Rescaling", scale=[0.01, 0.02, 0.03], offset=[0.5, 0.25, 0.125]),
    _image("Rescaling", scale=2.0, offset=[0.5, 0.25, 0.125]),
    _image("Rescaling", (5,), scale=0.1),
    Case("Normalization", (_IMAGE,)),
    Case("Normalization", (_IMAGE,), {"axis": 1}),
    Case("Normalization", (_IMAGE,), {"axis": [1, 3]}),
    Case("Normalization", (_IMAGE,), {"axis": [3, 1]}),
    Case("Normalization", ((5,),)),
    Case("Normalization", ((5,),), {"invert": True}),
    Case("Normalization", (_IMAGE,), {"mean": [1.0, 2.0, 3.0], "variance": [0.5, 1.5, 2.5]}),
    Case("Normalization", (_IMAGE,), {"mean": 1.0, "variance": 0.5, "axis": None}),
    Case("Normalization", (_IMAGE,), {"mean": 1.5, "variance": 0.5}),
]
CASES += [
    _image("Resizing", shape, height=height, width=width, interpolation=mode)
    for shape, (height, width), mode in product(
        (_IMAGE, (11, 5, 3)), ((12, 14), (3, 5), (7, 4), (9, 20)), ("bilinear", "nearest")
    )
]
CASES += [_image("Resizing", height=12, width=28, interpolation="bicubic")]
# TensorFlow has its gradient in float32 alone.
CASES += [
    replace(
        _image("Resizing", height=height, width=width, interpolation=mode, antialias=True, generations=_K3),
        dtypes=("float32",),
    )
    for (height, width), mode in product(((12, 14), (3, 5), (4, 9)), ("bilinear", "bicubic"))
]
CASES += [
    _image("Resizing", shape, height=height, width=width, crop_to_aspect_ratio=True)
    for shape, (height, width) in product((_IMAGE, (9, 4, 3)), ((4, 4), (8, 5), (12, 14)))
]
CASES += [
    _image(
        "Resizing",
        shape,
        height=height,
        width=width,
        pad_to_aspect_ratio=True,
        fill_value=9.0,
        generations=_K3,
    )
    for shape, (height, width) in product((_IMAGE, (9, 4, 3)), ((4, 4), (8, 5)))
]
CASES += [
    _image(layer, shape, generations, height=height, width=width)
    for (layer, generations), shape, (height, width) in product(
        (("CenterCrop", (*_TF, *_K3)), ("RandomCrop", _TF)),
        (_IMAGE, (9, 5, 3)),
        ((4, 4), (3, 5), (8, 4), (10, 12)),
    )
]
CASES += [
    _image("RandomCrop", generations=_K3, height=6, width=7),
    replace(_image("RandomHeight", generations=_TF, factor=0.2), dtypes=("float32",)),
    replace(_image("RandomWidth", generations=_TF, factor=0.2), dtypes=("float32",)),
    _image("RandomFlip"),
    replace(_image("RandomRotation", factor=0.2), dtypes=("float32",)),
    _image("RandomZoom", height_factor=0.2),
    _image("RandomTranslation", height_factor=0.2, width_factor=0.2),
    _image("RandomContrast", factor=0.2),
    replace(_image("RandomBrightness", factor=0.2), formats=("keras",)),
]
_KERAS3_RANDOM = {
    "RandomShear": {"x_factor": 0.2},
    "RandomHue": {"factor": 0.2},
    "RandomSaturation": {"factor": 0.2},
    "RandomSharpness": {"factor": 0.2},
    "RandomColorJitter": {"brightness_factor": 0.2},
    "RandomColorDegeneration": {"factor": 0.2},
    "RandomGrayscale": {"factor": 0.2},
    "RandomInvert": {"factor": 0.2},
    "RandomPosterization": {"factor": 3},
    "RandomPerspective": {"factor": 0.2},
    "RandomElasticTransform": {"factor": 0.2},
    "RandomErasing": {"factor": 0.2},
    "RandomGaussianBlur": {"factor": 0.2},
}
CASES += [
    # Keras cannot save some of them as .h5.
    replace(_image(layer, generations=_K3, **arguments), formats=("keras",))  # type: ignore[arg-type]
    for layer, arguments in _KERAS3_RANDOM.items()
]
CASES += [
    Case("Dropout", (_IMAGE,), {"rate": 0.3}),
    Case("Dropout", (_IMAGE,), {"rate": 0.3, "noise_shape": (None, 1, 1, 1)}),
    Case("Dropout", (_IMAGE,), {"rate": 0.3, "noise_shape": (None, 1, 7, 3)}),
    *(
        Case(f"SpatialDropout{axes}D", (shape,), {"rate": 0.3})
        for axes, shape in ((1, (6, 3)), (2, _IMAGE), (3, (3, 4, 5, 2)))
    ),
    Case("AlphaDropout", (_IMAGE,), {"rate": 0.3}),
    Case("GaussianDropout", (_IMAGE,), {"rate": 0.3}),
    Case("GaussianNoise", (_IMAGE,), {"stddev": 0.3}),
    Case("ActivityRegularization", (_IMAGE,), {"l2": 0.01}),
]
