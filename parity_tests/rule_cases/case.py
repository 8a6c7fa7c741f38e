"""A case of a rule: a small model that Keras builds and saves, and the port of its file has to match.

Imports neither Keras nor torch: the Keras child and the test both read the cases.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BOTH = ("tf2.4", "keras3")
BATCH = 3


@dataclass(frozen=True)
class Case:
    """One use of a layer.

    Attributes:
        layer: Keras's class, whose rule it proves.
        sizes: The shape of each input without the batch axis, in Keras's order.
        arguments: Of the layer.
        build: Makes the output from the keras module and the inputs, where it is more than the layer called
            on them. None: the layer alone, on one tensor or on the list of them.
        says: What is special, for the name; "": the arguments.
        generations: The Keras generations that have it.
        values: How inputs are drawn: "normal"; "levels", 0 to 255; "whole", whole numbers with many ties;
            "labels", whole numbers from 0 to 6.
        keras_rounds: Why Keras computes in float32 in a float64 model, too; "" where it does not.
        dtypes: Those in which TensorFlow has its kernels and their gradients.
        formats: Those in which Keras can save it.
        batch: How many examples.
        vanishing: Weights whose gradient is zero but for rounding: how far it is off is told of the largest
            gradient of the case.
        needs_onednn: Whether TensorFlow has the kernel on a CPU only with oneDNN.
    """

    layer: str
    sizes: tuple[tuple[int | None, ...], ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    build: Callable[[Any, list[Any]], Any] | None = None
    says: str = ""
    generations: tuple[str, ...] = BOTH
    values: str = "normal"
    keras_rounds: str = ""
    dtypes: tuple[str, ...] = ("float64", "float32")
    formats: tuple[str, ...] = ("h5", "keras")
    vanishing: tuple[str, ...] = ()
    batch: int = BATCH
    needs_onednn: bool = False

    @property
    def name(self) -> str:
        """Unique; a file name, too."""
        said = self.says or "-".join(f"{key}={_short(value)}" for key, value in self.arguments.items())
        shapes = "+".join("x".join(map(str, size)) for size in self.sizes)
        name = f"{self.layer}-{shapes}-{said}".rstrip("-")
        return "".join(
            character if character.isalnum() or character in "-+=._," else "_" for character in name
        )

    def model(self, keras: Any) -> Any:
        """The Keras model."""
        inputs = [keras.Input(size) for size in self.sizes]
        if self.build is not None:
            output = self.build(keras, inputs)
        else:
            layer = getattr(keras.layers, self.layer)(**self.arguments, name="layer")
            output = layer(inputs if len(inputs) > 1 else inputs[0])
        return keras.Model(inputs, output)

    def draw_inputs(self) -> list[np.ndarray]:
        """Float64; an unknown size is 7."""
        random = np.random.RandomState(zlib.crc32(self.name.encode()))
        shapes = [(self.batch, *(size or 7 for size in sizes)) for sizes in self.sizes]
        draw: dict[str, Callable[[tuple[int, ...]], np.ndarray]] = {
            "normal": lambda shape: random.normal(0.2, 1.7, shape),
            "levels": lambda shape: random.uniform(0, 255, shape),
            # Apart in each channel of each example: not everywhere the same is the largest.
            "whole": lambda shape: (
                random.randint(-6, 3, shape)
                + random.uniform(0, 1, (self.batch, shape[-1]))[(slice(None), *(None,) * (len(shape) - 2))]
            ),
            "labels": lambda shape: random.randint(0, 7, shape).astype(float),
        }
        return [draw[self.values](shape) for shape in shapes]


def draw_weight(name: str, shape: Iterable[int], number: int) -> np.ndarray:
    """A weight, none of its numbers zero or one, float64.

    Args:
        name: "kernel"; one with "variance" in it is above zero.
        shape: In Keras's order.
        number: Which of the model's weights.
    """
    random = np.random.RandomState(50 + number)
    if "variance" in name:
        return random.uniform(0.3, 2.0, tuple(shape))
    return random.normal(0.15, 0.6, tuple(shape))


def draw_cotangent(shape: Iterable[int]) -> np.ndarray:
    """What an output is weighed with before it is summed, float64."""
    return np.random.RandomState(7).normal(0, 1, tuple(shape))


def noise_statistics(drawn: np.ndarray) -> np.ndarray:
    """What tells how a layer draws, of its output `(N, ..., C)` for a constant input.

    Mean, deviation and share of zeros; the deviations of the means over the places of a channel, over an
    example, and over the channels of a place, which are large where the drawn numbers are shared.
    """
    places = tuple(range(1, drawn.ndim - 1))
    shared = (drawn.mean(axis) for axis in (places, (*places, drawn.ndim - 1), -1))
    return np.array([drawn.mean(), drawn.std(), (drawn == 0).mean(), *(mean.std() for mean in shared)])


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
