"""A Keras file as torch source and weights, checked against the same program unfolded."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lightning_impl.keras_semantics.profile import Profile
from parity_common.command_errors import UserError
from porting.carried_weights import carried
from porting.custom import Custom
from porting.emit.model_source import ModelSource, model_source
from porting.emit.source_format import formatted
from porting.emit.state import state_of
from porting.graph import LayerPath
from porting.interpreter import Interpreter
from porting.keras_file import KerasFile, KerasFileError
from porting.modules import match_buffers
from porting.output_shapes import Shape
from porting.program import EXAMPLES, OPEN_SIDE, Program, program_of


@dataclass(frozen=True)
class Conversion:
    """What became of a file.

    Attributes:
        file: The file.
        program: Layer by layer.
        source: Of model.py.
        text: model.py, formatted.
        tensors: Each layer's, as torch has them.
        net: The class of model.py with the file's weights, in evaluation mode.
    """

    file: KerasFile
    program: Program
    source: ModelSource
    text: str
    tensors: Mapping[LayerPath, Mapping[str, Tensor]]
    net: nn.Module


def convert_file(
    file: KerasFile,
    profile: Profile,
    name: str,
    custom: Mapping[str, Custom] | None = None,
    input_shapes: Sequence[Shape] = (),
) -> Conversion:
    """Converts a file in memory.

    Args:
        file: The file.
        profile: The Keras generation whose rules hold.
        name: Of the model's class, any words.
        custom: Functions of the user's own by the name of a layer or of a class.
        input_shapes: Keras's shape of each input without the batch axis, in the place of the file's.

    Raises:
        UserError: The model cannot be converted: every layer that cannot is named.
        RuntimeError: The source gives something else than its program: a defect of ours.
    """
    program, tensors = lowered(file, profile, custom, input_shapes)
    # The author's name for the model is of no use in the most cases: "sequential_1".
    source = model_source(program, name, f"converted from {file.path.name}")
    text = formatted(source.text, {each.module.partition(".")[0] for each in (custom or {}).values()})
    net = checked_net(text, source, tensors, program)
    return Conversion(file, program, source, text, tensors, net)


def checked_net(
    text: str, source: ModelSource, tensors: Mapping[LayerPath, Mapping[str, Tensor]], program: Program
) -> nn.Module:
    """The class of a model.py with its weights, in evaluation mode; it gives what its program gives.

    Args:
        text: The source, formatted or not.
        source: What it was written from.
        tensors: Each layer's, as torch has them.
        program: Layer by layer.

    Raises:
        RuntimeError: It gives something else: a defect of ours.
    """
    net = _loaded(text, source, tensors)
    _check_same(net, source, Interpreter(program, tensors), program)
    return net


def lowered(
    file: KerasFile,
    profile: Profile,
    custom: Mapping[str, Custom] | None = None,
    input_shapes: Sequence[Shape] = (),
) -> tuple[Program, dict[LayerPath, dict[str, Tensor]]]:
    """What the rules make of a file, and each layer's tensors: whether it can be converted is seen here.

    Args:
        file: The file.
        profile: The Keras generation whose rules hold.
        custom: Functions of the user's own by the name of a layer or of a class.
        input_shapes: Keras's shape of each input without the batch axis, in the place of the file's.

    Raises:
        UserError: The model cannot be converted: every layer that cannot is named.
    """
    try:
        shapes = {
            path: {name: array.shape for name, array in arrays.items()}
            for path, arrays in file.weights.items()
        }
        program = program_of(file.graph, profile, custom, input_shapes, shapes)
        return program, carried(file, program)
    except KerasFileError as error:
        if input_shapes:
            # Of a file that is wrong by itself this says what is wrong.
            lowered(file, profile, custom)
            raise UserError(
                f"{file.path} does not suit this --input-shape: {error}. Layers such as a Dense behind a "
                "Flatten have weights for one size of input alone"
            ) from error
        raise KerasFileError(f"{file.path}: {error}") from error


def example_inputs(program: Program, examples: int = EXAMPLES, seed: int = 0) -> tuple[Tensor, ...]:
    """Inputs of the program's shapes, uniform in [0, 1), open sides of 96."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.rand((examples, *(side or OPEN_SIDE for side in value.torch_shape[1:])), generator=generator)
        for value in program.inputs
    )


def _loaded(text: str, source: ModelSource, tensors: Mapping[LayerPath, Mapping[str, Tensor]]) -> nn.Module:
    module = types.ModuleType("model")
    exec(compile(text, "model.py", "exec"), module.__dict__)
    net: nn.Module = getattr(module, source.class_name)()
    state = state_of(source, tensors)
    counters = {
        name: value for name, value in net.state_dict().items() if name.endswith("num_batches_tracked")
    }
    # The tensors are the file's own: nothing is copied.
    net.load_state_dict({**counters, **state}, strict=True, assign=True)
    match_buffers(net)
    return net.eval()


@torch.no_grad()
def _check_same(net: nn.Module, source: ModelSource, unfolded: Interpreter, program: Program) -> None:
    """Compares the source with its program, bit for bit."""
    stated = (tensor.dtype for tensor in net.state_dict().values() if tensor.is_floating_point())
    dtype = next(stated, torch.float32)
    inputs = tuple(tensor.to(dtype) for tensor in example_inputs(program))
    given = net.probabilities(*inputs) if source.gives_logits else net(*inputs)  # type: ignore[operator]
    given = given if isinstance(given, tuple) else (given,)
    expected = unfolded.eval()(*inputs)
    same = len(given) == len(expected) and all(
        ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=0, atol=0, equal_nan=True)
        for ours, theirs in zip(given, expected, strict=True)
    )
    if not same:
        raise RuntimeError("model.py gives something else than the layers it was made from")
