"""What a rule makes of a Keras layer: the torch code for it, and where its weights go.

Axes. A tensor of the port may hold Keras's axes in another order: images are `(N, H, W, C)` in Keras and
`(N, C, H, W)` here. Every tensor carries its order, and a rule states the order that its code takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError
from porting.graph import Call, Layer
from porting.output_shapes import Shape

Order = tuple[int, ...]
"""Axis i of the torch tensor is Keras's axis order[i]."""


def keras_order(rank: int) -> Order:
    """The order of a tensor whose axes are as in Keras."""
    return tuple(range(rank))


def channels_first_order(rank: int) -> Order:
    """The order of a channels_last tensor whose channels come second here: `(N, C, ...)`."""
    return (0, rank - 1, *range(1, rank - 1))


class Refused(UserError):
    """A layer that a rule cannot carry over. The message says what of it, without the layer's name."""


@dataclass(frozen=True)
class Value:
    """A tensor of the port.

    Attributes:
        shape: In Keras's order of axes, the batch axis first and None, as other unknown sizes are.
        order: Of the torch tensor's axes.
    """

    shape: Shape
    order: Order

    @property
    def torch_shape(self) -> Shape:
        """The shape as torch has it."""
        return tuple(self.shape[axis] for axis in self.order)

    def torch_axis(self, keras_axis: int) -> int:
        """Where one of Keras's axes, which may count from the end, is in the torch tensor."""
        return self.order.index(keras_axis % len(self.shape))


class Name(str):
    """An argument that is a name in the source, not a value."""

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Make:
    """The making of a module: `nn.Conv2d(3, 32, 3, padding=1)`.

    Attributes:
        callee: "nn.Conv2d", or the name of a helper.
        positional: Arguments by their names in the callee's signature, written without them. One may be the
            making of a module inside.
        keywords: Arguments written with their names.
    """

    callee: str
    positional: Mapping[str, Any] = field(default_factory=dict)
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self) -> Iterator[Any]:
        """The values of all arguments, those of the makings inside in their place."""
        for value in (*self.positional.values(), *self.keywords.values()):
            if isinstance(value, Make):
                yield from value.arguments()
            else:
                yield value

    def __repr__(self) -> str:
        return self.source()

    def source(self) -> str:
        """The Python expression."""
        arguments = [repr(value) for value in self.positional.values()]
        arguments += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"{self.callee}({', '.join(arguments)})"


@dataclass(frozen=True)
class Step:
    """One operation on one tensor.

    Attributes:
        make: The operation as a module.
        function: As an expression of the tensor, "F.relu({})"; None: it has weights or state, or reads
            better as a module.
        suffix: Put behind the layer's name to name the module: "" for the step that holds the weights.
    """

    make: Make
    function: str | None = None
    suffix: str = ""


@dataclass(frozen=True)
class Carry:
    """Where a Keras weight goes, and how: the same for an optimizer's slots of it.

    Attributes:
        attribute: Of the layer's module: "weight", "depthwise.weight"; "": it plays no part in what the layer
            computes, and is left out.
        axes: `torch = keras.transpose(axes)`; None: as it is.
        then: What is done to it after that.
    """

    attribute: str
    axes: tuple[int, ...] | None = None
    then: Callable[[np.ndarray], np.ndarray] | None = None

    def carried(self, array: np.ndarray) -> np.ndarray:
        """An array of Keras's as torch has it, contiguous."""
        turned = array if self.axes is None else array.transpose(self.axes)
        return np.ascontiguousarray(turned if self.then is None else self.then(turned))


def single_filters(kernels: np.ndarray) -> np.ndarray:
    """Depthwise kernels `(in, multiplier, ...)` as torch has them: `(in * multiplier, 1, ...)`."""
    return kernels.reshape(-1, 1, *kernels.shape[2:])


class CustomFunction(Protocol):
    """A function of the user's own."""

    @property
    def module(self) -> str:
        """Where it is."""

    @property
    def function(self) -> str:
        """Its name."""

    def load(self) -> Callable[..., Any]:
        """The function."""


@dataclass(frozen=True)
class Piece:
    """What a layer becomes.

    Attributes:
        steps: Operations, one after the other. Of a merging layer those behind the merge.
        merge: An expression of several tensors, "{0} + {1}"; None: the first step takes all of them.
        orders: The order in which each input is taken.
        order: That of the output.
        weights: Keras's names ("kernel") to their places in the module of the step without a suffix.
        differences: Numbers of docs/differences.md that the code takes care of.
        notes: Sentences on what is not carried over, for the README.
        shape: The output's, in Keras's order, where porting/output_shapes.py does not know it.
        custom: The user's own function that `merge` or a step calls, if they do.
        takes: Without a merge: the inputs that the first step takes, in its order; (): all.
        loops_over: Keras's axis of the input that the code goes through step by step, if it does.
    """

    steps: tuple[Step, ...] = ()
    merge: str | None = None
    orders: tuple[Order, ...] = ()
    order: Order = ()
    weights: Mapping[str, Carry] = field(default_factory=dict)
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    shape: Shape | None = None
    custom: CustomFunction | None = None
    takes: tuple[int, ...] = ()
    loops_over: int | None = None


@dataclass(frozen=True)
class Site:
    """A layer at one of its calls: all that a rule is told.

    Attributes:
        layer: The layer.
        call: The call.
        inputs: The tensors it takes.
        profile: The Keras generation whose rules hold.
    """

    layer: Layer
    call: Call
    inputs: tuple[Value, ...]
    profile: Profile

    @property
    def config(self) -> Mapping[str, Any]:
        """The layer's."""
        return self.layer.config

    @property
    def input(self) -> Value:
        """The only input.

        Raises:
            Refused: There are several.
        """
        if len(self.inputs) != 1:
            raise Refused(f"it takes {len(self.inputs)} tensors where one is expected")
        return self.inputs[0]

    @property
    def rank(self) -> int:
        """How many axes the input has, the batch's included."""
        return len(self.input.shape)

    @property
    def is_channels_last(self) -> bool:
        """Whether the layer's data_format is Keras's usual one."""
        return self.config.get("data_format", "channels_last") != "channels_first"

    def image_order(self) -> Order:
        """`(N, C, ...)` as torch's convolutions take it, whichever data_format the layer has."""
        return channels_first_order(self.rank) if self.is_channels_last else keras_order(self.rank)

    def channels(self) -> int:
        """How many channels the input has.

        Raises:
            Refused: The file does not say.
        """
        return known(self.input.shape[-1 if self.is_channels_last else 1], "the number of its channels")

    def stated(self, key: str) -> Any:
        """One of the config's values.

        Raises:
            Refused: The config lacks it.
        """
        if key not in self.config:
            raise Refused(f"its config lacks {key}")
        return self.config[key]


def known(size: int | None, what: str) -> int:
    """A size that the file states.

    Raises:
        Refused: It does not.
    """
    if size is None:
        raise Refused(f"{what} is not fixed in the file")
    return size


def only(site: Site, **defaults: Any) -> None:
    """Refuses a layer whose config has other values than these for the keys named.

    Raises:
        Refused: Names the argument.
    """
    for key, value in defaults.items():
        if site.config.get(key, value) != value:
            raise Refused(f"{key}={site.config[key]!r} has no rule")


def per_axis(value: Any, axes: int, what: str) -> tuple[int, ...]:
    """A window's setting, one number an axis, from one number or a list.

    Raises:
        Refused: It is neither.
    """
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,) * axes
    if len(numbers) != axes or not all(type(number) is int and number > 0 for number in numbers):
        raise Refused(f"{what}={value!r} is not {axes} positive whole numbers")
    return numbers


def short(numbers: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number where all are equal: `nn.Conv2d(3, 32, 3)`, not `(3, 3)`."""
    return numbers[0] if len(set(numbers)) == 1 else numbers
