"""Shapes: Flatten, Reshape, Permute, RepeatVector, padding and cropping, on their own and behind layers that
leave their axes in another order.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from parity_tests.rule_cases.case import Case

_IMAGE = (4, 3, 5)


def _behind_pooling(layer: str, **arguments: Any) -> Any:
    """The layer, between a convolution and one whose axes come out in Keras's order."""

    def build(keras: Any, inputs: list[Any]) -> Any:
        features = keras.layers.GlobalAveragePooling2D()(inputs[0])
        return keras.layers.Conv2D(3, 1)(getattr(keras.layers, layer)(**arguments)(features))

    return build


CASES = [Case("Flatten", (shape,)) for shape in (_IMAGE, (1, 1, 5), (4, 3, 1), (6, 2), (5,), (2, 3, 2, 4))]
CASES += [
    Case("Reshape", (shape,), {"target_shape": target})
    for shape, target in (
        (_IMAGE, (12, 5)),
        (_IMAGE, (2, 6, 5)),
        (_IMAGE, (5, 12)),
        (_IMAGE, (60,)),
        (_IMAGE, (-1, 5)),
        (_IMAGE, (2, -1)),
        (_IMAGE, (3, 4, 5, 1)),
        ((1, 1, 6), (6,)),
        ((1, 1, 6), (2, 3)),
        ((6,), (1, 1, 6)),
        ((6,), (2, 3)),
        ((6,), (6,)),
        ((6,), (1, 6)),
        ((6,), (6, 1)),
        ((12, 5), (4, 3, 5)),
        ((12, 5), (60,)),
    )
]
CASES += [
    Case("Reshape", (_IMAGE,), build=_behind_pooling("Reshape", target_shape=(1, 1, 5)), says="excitation"),
    *(Case("Permute", (_IMAGE,), {"dims": dims}) for dims in ((3, 1, 2), (2, 1, 3), (1, 2, 3), (2, 3, 1))),
    Case("Permute", ((6, 4),), {"dims": (2, 1)}),
    Case(
        "Permute",
        (_IMAGE,),
        build=lambda keras, inputs: keras.layers.Flatten()(keras.layers.Permute((3, 2, 1))(inputs[0])),
        says="flattened",
    ),
    Case("RepeatVector", ((6,),), {"n": 3}),
]
_EDGES: dict[int, tuple[Any, ...]] = {
    1: (1, (2, 1), (0, 1)),
    2: (1, (1, 2), ((0, 1), (2, 1)), ((0, 1), (0, 1))),
    3: (1, (1, 0, 1), ((0, 1), (1, 1), (1, 0))),
}
_SHAPES = {1: (6, 3), 2: (5, 6, 3), 3: (4, 5, 4, 2)}
CASES += [
    Case(f"{layer}{axes}D", (_SHAPES[axes],), {argument: edges})
    for layer, argument in (("ZeroPadding", "padding"), ("Cropping", "cropping"))
    for axes in (1, 2, 3)
    for edges in _EDGES[axes]
]
CASES += [
    Case(f"UpSampling{axes}D", (_SHAPES[axes],), {"size": size})
    for axes, size in ((1, 2), (1, 3), (2, 2), (2, (2, 3)), (3, 2), (3, (1, 2, 3)))
]
CASES += [
    Case("UpSampling2D", (_SHAPES[2],), {"size": size, "interpolation": mode}, keras_rounds="tf.image.resize")
    for size, mode in ((2, "bilinear"), ((2, 3), "bilinear"), (2, "bicubic"), ((2, 4), "bicubic"))
]
_TRANSPOSED = [
    {"filters": 4, "kernel_size": kernel, "strides": strides, "padding": padding}
    for kernel, strides, padding in product((1, 2, 3, 4, 5), (1, 2, 3), ("valid", "same"))
    if kernel >= strides
]
CASES += [Case("Conv2DTranspose", (_SHAPES[2],), arguments) for arguments in _TRANSPOSED]
CASES += [
    Case("Conv2DTranspose", (_SHAPES[2],), {"filters": 4, "kernel_size": kernel, **more})
    for kernel in (3, 4)
    for more in (
        {"strides": 2, "padding": "same", "output_padding": 1},
        {"strides": 2, "padding": "valid", "output_padding": 1},
        {"padding": "same", "activation": "relu", "use_bias": False},
    )
]
CASES += [
    Case(
        f"Conv{axes}DTranspose",
        (_SHAPES[axes],),
        {"filters": 4, "kernel_size": kernel, "strides": strides, "padding": padding},
    )
    for axes, kernel, strides, padding in product((1, 3), (2, 3), (1, 2), ("valid", "same"))
]
CASES += [Case("Conv2DTranspose", (_SHAPES[2],), {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1]})]
