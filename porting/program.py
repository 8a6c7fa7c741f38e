"""A Keras model as torch statements: what the rules make of each of its layers, in the order of execution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError, did_you_mean
from porting.custom import Custom, custom_piece
from porting.graph import Call, Graph, Layer, LayerPath, TensorRef
from porting.keras_file.problems import KerasFileError, shown
from porting.modules import make_empty, run_piece
from porting.output_shapes import Shape, layer_shape, shape_text, stated_shape
from porting.refusals import WITHOUT_RULE, Refusals, lies_in_the_layer
from porting.rules import RULES
from porting.rules.piece import Piece, Refused, Site, Value, channels_first_order, keras_order

# Where the file leaves a side open: every network of keras.applications takes it.
EXAMPLES, OPEN_SIDE = 2, 96
# How many steps of a loop are run to see its shape: each takes a millisecond or more.
SHORT_LOOP = 3

# What a rule or a torch module raises at a number that is a text, negative, or not there.
_WRONG_VALUES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Guessed(Value):
    """A tensor behind a refused layer, of which nobody knows the shape: it is taken for that layer's input's.

    Of layers behind it only that is refused which lies in their configs alone.
    """


@dataclass(frozen=True)
class Statement:
    """One call of a layer.

    Attributes:
        path: The layer's, from the outermost model.
        layer: The layer.
        call: The call; its inputs name the tensors of the same program.
        inputs: Those tensors, in the order they are in before the piece takes them.
        piece: What the layer becomes; None of a model, which `program` is.
        program: The statements of a model inside.
        outputs: The tensors it gives.
        never_trains: Whether it is as in inference while the model trains, as its call was told (D51).
    """

    path: LayerPath
    layer: Layer
    call: Call
    inputs: tuple[Value, ...]
    piece: Piece | None
    program: Program | None
    outputs: tuple[Value, ...]
    never_trains: bool = False


@dataclass(frozen=True)
class Program:
    """A model.

    Attributes:
        graph: Keras's.
        statements: In the order of execution.
        inputs: The tensors that the model takes, in its order.
        outputs: Those that it gives.
    """

    graph: Graph
    statements: tuple[Statement, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def walk(self) -> Iterator[Statement]:
        """Every statement, those of an inner model behind the model's own."""
        for statement in self.statements:
            yield statement
            if statement.program is not None:
                yield from statement.program.walk()


def program_of(
    graph: Graph,
    profile: Profile,
    custom: Mapping[str, Custom] | None = None,
    input_shapes: Sequence[Shape] = (),
    weights: Mapping[LayerPath, Mapping[str, tuple[int, ...]]] | None = None,
) -> Program:
    """The torch statements of a model.

    Args:
        graph: The model.
        profile: The Keras generation whose rules hold.
        custom: Functions of the user's own by the name of a layer or of a class.
        input_shapes: Keras's shape of each input without the batch axis, in the place of the file's.
        weights: The shapes of each layer's weights, which a function of the user's own takes.

    Raises:
        CannotConvert: Names every layer that has no rule or is refused by it, and why.
        KerasFileError: A layer takes a tensor that is not there.
        UserError: A custom function that is not there, or for a layer that is not; too few input shapes.
    """
    if input_shapes and len(input_shapes) != len(graph.inputs):
        raise UserError(
            f"--input-shape is given {len(input_shapes)} times, and the model has {len(graph.inputs)} "
            "inputs: give one for each"
        )
    return _Builder(profile, custom or {}, input_shapes, weights or {}).build(graph)


class _Builder:
    def __init__(
        self,
        profile: Profile,
        custom: Mapping[str, Custom],
        input_shapes: Sequence[Shape],
        weights: Mapping[LayerPath, Mapping[str, tuple[int, ...]]],
    ) -> None:
        self.weights = weights
        self.profile = profile
        self.custom = custom
        self.input_shapes = input_shapes
        self.refusals = Refusals()
        self.is_open = False
        # What a layer became at its first call.
        self.pieces: dict[LayerPath, Piece] = {}
        self.modes: dict[LayerPath, bool] = {}
        self.used: set[str] = set()

    def build(self, graph: Graph) -> Program:
        program = self._program(graph, None, ())
        self.refusals.check()
        for name in self.custom.keys() - self.used:
            known = [layer.name for _, layer in graph.walk()]
            raise UserError(f"--custom {name}: the model has no such layer{did_you_mean(name, known)}")
        return program

    def _program(self, graph: Graph, given: tuple[Value, ...] | None, path: LayerPath) -> Program:
        if given is None:
            given = tuple(self._input(graph, ref, (*path, ref.layer)) for ref in graph.inputs)
            self.is_open = any(None in value.shape[1:] for value in given)
        values = dict(zip(graph.inputs, given, strict=True))
        statements = []
        for call in graph.calls:
            statement = self._statement(graph, call, values, path)
            statements.append(statement)
            for number, value in enumerate(statement.outputs):
                values[TensorRef(call.layer, call.number, number)] = value
        return Program(graph, tuple(statements), given, tuple(_value(values, ref) for ref in graph.outputs))

    def _statement(
        self, graph: Graph, call: Call, values: Mapping[TensorRef, Value], path: LayerPath
    ) -> Statement:
        layer, here = graph.layer(call.layer), (*path, call.layer)
        inputs = tuple(_value(values, ref) for ref in call.inputs)
        never_trains = self._never_trains(call)
        if layer.graph is not None:
            program = self._program(layer.graph, inputs, here)
            return Statement(here, layer, call, inputs, None, program, program.outputs, never_trains)
        try:
            piece = self._piece(Site(layer, call, inputs, self.profile), here)
            output = _output(layer, inputs, piece)
            _check_runs(piece, inputs, output, self.input_shapes or self.is_open)
            if self.pieces.setdefault(here, piece) != piece:
                raise Refused("its calls take tensors of different shapes, for which its code differs")
            if self.modes.setdefault(here, never_trains) != never_trains:
                raise Refused("one of its calls has training=False, and another has not")
            if self.profile.call_argument_training_holds and call.keywords.get("training") is True:
                raise Refused("it is called with training=True, in inference too")
        except (*_WRONG_VALUES, Refused) as refusal:
            if not isinstance(refusal, Refused):
                refusal = Refused(f"its config holds a value that no Keras writes ({shown(str(refusal))})")
            piece, output = Piece(), _as_if(layer, inputs)
            # What else is said of tensors that are guessed at may be wrong.
            if lies_in_the_layer(str(refusal)) or not _are_guessed(inputs):
                self.refusals.add(layer.class_name, str(refusal), here)
            else:
                self.refusals.pass_over(here)
        if _are_guessed(inputs):
            output = Guessed(output.shape, output.order)
        return Statement(here, layer, call, inputs, piece, None, (output,), never_trains)

    def _never_trains(self, call: Call) -> bool:
        return self.profile.call_argument_training_holds and call.keywords.get("training") in (False, 0)

    def _piece(self, site: Site, path: LayerPath) -> Piece:
        layer = site.layer
        for name in (layer.name, layer.class_name):
            if name in self.custom:
                self.used.add(name)
                return custom_piece(site, self.custom[name], self.weights.get(path, {}))
        if layer.class_name == "Lambda":
            raise Refused(f"{WITHOUT_RULE}Lambda, which is code and never run")
        if layer.package is not None or layer.class_name not in RULES:
            named = layer.class_name if layer.package is None else f"{layer.package}>{layer.class_name}"
            raise Refused(f"{WITHOUT_RULE}{shown(named)}")
        piece = RULES[layer.class_name](site)
        if any(_is_endless(value) for step in piece.steps for value in step.make.arguments()):
            raise Refused("its config holds an infinite number, or none")
        return piece

    def _input(self, graph: Graph, ref: TensorRef, path: LayerPath) -> Value:
        shape = stated_shape(graph.layer(ref.layer).config) or _built_shape(graph, ref)
        if self.input_shapes and not path[1:]:
            shape = (None, *self.input_shapes[graph.inputs.index(ref)])
        if shape is None:
            reason = "the file does not state the input's shape: give it, such as --input-shape 64,64,3"
            self.refusals.add("InputLayer", reason, path)
            return Guessed((None,), keras_order(1))
        # Images and videos come with their channels second, as torch has them.
        is_image = len(shape) >= 4 and not _is_channels_first(graph)
        return Value(shape, channels_first_order(len(shape)) if is_image else keras_order(len(shape)))


def _value(values: Mapping[TensorRef, Value], ref: TensorRef) -> Value:
    if ref not in values:
        name = shown(ref.layer)
        raise KerasFileError(
            f'it is damaged: output {ref.output} of call {ref.call} of "{name}" is not there'
        )
    return values[ref]


def _check_runs(piece: Piece, inputs: tuple[Value, ...], output: Value, may_be_given: object) -> None:
    """Runs a piece on tensors without memory, and compares the shape of what it gives.

    Args:
        piece: What the layer becomes.
        inputs: What it takes.
        output: What it should give.
        may_be_given: Whether other sizes can be had by --input-shape.

    Raises:
        Refused: It cannot take its inputs, or gives another shape than the rule says: a config that no Keras
            writes, or a defect of ours.
    """
    modules, given = make_empty(piece), inputs
    if piece.loops_over is not None:
        # Where it gives something for every step, its output has the axis too.
        is_kept = len(output.shape) == len(inputs[0].shape)
        output = _shortened(output, piece.loops_over) if is_kept else output
        inputs = tuple(_shortened(value, piece.loops_over) for value in inputs)
    # Of the user's own function the shape was found by calling it.
    if piece.custom is not None:
        return
    tensors = [
        torch.empty(_sized(replace(value, order=order)), device="meta")
        for value, order in zip(inputs, piece.orders, strict=True)
    ]
    try:
        found = tuple(run_piece(piece, modules, tensors).shape)
    except _WRONG_VALUES as error:
        shapes = " and ".join(shape_text(value.shape) for value in given)
        remedy = ": give a suitable --input-shape" if may_be_given else ", which no Keras writes"
        raise Refused(f"it cannot take {shapes}{remedy}") from error
    expected = _sized(output)
    is_open = [size is None for size in output.torch_shape]
    if len(found) != len(expected) or any(
        ours != theirs and not unknown for ours, theirs, unknown in zip(found, expected, is_open, strict=True)
    ):
        raise Refused(f"its output would be of shape {found}, where {expected} is expected")


def _shortened(value: Value, axis: int) -> Value:
    return replace(value, shape=(*value.shape[:axis], SHORT_LOOP, *value.shape[axis + 1 :]))


def _sized(value: Value) -> tuple[int, ...]:
    return (EXAMPLES, *(size or OPEN_SIDE for size in value.torch_shape[1:]))


def _is_endless(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_is_endless(each) for each in value.values())
    if isinstance(value, list | tuple):
        return any(_is_endless(each) for each in value)
    return isinstance(value, float) and not math.isfinite(value)


def _output(layer: Layer, inputs: tuple[Value, ...], piece: Piece) -> Value:
    shape = piece.shape or layer_shape(layer, [value.shape for value in inputs])
    if shape is None or len(shape) != len(piece.order):
        raise Refused("the shape of its output does not follow from its config")
    return Value(shape, piece.order)


def _as_if(layer: Layer, inputs: tuple[Value, ...]) -> Value:
    """What a refused layer gives, as far as it is known: the layers behind it are looked at, too."""
    shape = layer_shape(layer, [value.shape for value in inputs])
    if shape is None:
        return Guessed(inputs[0].shape, keras_order(len(inputs[0].shape)))
    return Value(shape, keras_order(len(shape)))


def _are_guessed(inputs: tuple[Value, ...]) -> bool:
    return any(isinstance(value, Guessed) for value in inputs)


def _built_shape(graph: Graph, ref: TensorRef) -> Shape | None:
    """The shape that Keras built the first layer behind an input for."""
    first = next((call for call in graph.calls if call.inputs == (ref,)), None)
    return None if first is None else graph.layer(first.layer).build_shape


def _is_channels_first(graph: Graph) -> bool:
    return any(layer.config.get("data_format") == "channels_first" for _, layer in graph.walk())
