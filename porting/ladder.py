"""The ladder: one function a rung, each from what Keras did (the trace) and what the port did.

Rungs 1 structure, 2 weights, 3 forward here; those of a training in training_rungs.py. The climb ends at the
first rung that parts: what lies above it would only repeat the same fault in other words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import nn

from parity_common.command_errors import UserError
from porting.case import Case, RungResult, from_comparisons
from porting.comparison import Comparison, compare, is_constant_over_batch
from porting.last_bits import IN_INFERENCE, allow_own_spread
from porting.recipe import recipe_of
from porting.replay import Port, Replay, build_port, run
from porting.tolerances import FORWARD, TOLERANCES, WEIGHTS
from porting.trace import KerasLayer, Trace
from porting.training_rungs import TRAINING_RUNGS
from porting.weights import (
    TransferError,
    keras_to_torch,
    tensors_of,
    torch_names,
    torch_to_keras,
)


def climb(trace: Trace, port: Port, fault: Callable[[Case], None] | None = None) -> list[RungResult]:
    """Climbs until a rung parts.

    Args:
        trace: What Keras did.
        port: The class, or a function, that makes the torch module.
        fault: Puts a known difference into the port before the climb: see differences.py.

    Returns:
        A result for each rung climbed; only the last can part.

    Raises:
        UserError: The trace proves nothing, or the port cannot be built.
    """
    case = Case(trace, build_port(port, trace), recipe_of(trace) if trace.training else None)
    if fault is not None:
        fault(case)
    results = []
    for rung in rungs_of(trace):
        results.append(rung(case))
        if not results[-1].holds:
            break
    return results


def structure(case: Case) -> RungResult:
    """Rung 1: the same layers in an order that Keras's graph allows, their output shapes and parameters."""
    replay = run(case.module, case.trace)
    counts = _parameters_by_layer(case.module, case.trace.layers)
    # What has no place of its own in forward shows in the layers behind it alone.
    layers = tuple(layer for layer in case.trace.layers if layer.name not in replay.unseen)
    layer, fault = _first_structural_fault(layers, replay, counts)
    compared = f"{len(layers)} layers, {sum(map(sum, counts.values())):,} parameters"
    return RungResult("structure", compared, layer, fault)


def weights(case: Case) -> RungResult:
    """Rung 2: every array carried once, and the way back gives the same bytes."""
    theirs = dict(case.trace.weights)
    compared = f"{len(theirs)} arrays"
    try:
        keras_to_torch(theirs, case.trace.layers, case.module)
        ours = torch_to_keras(case.module, case.trace.layers)
    except TransferError as error:
        return RungResult(WEIGHTS, compared, error.layer, str(error))
    tolerance = TOLERANCES[WEIGHTS, case.trace.dtype].residual
    return from_comparisons(WEIGHTS, compared, compare(ours, theirs, tolerance))


def forward(case: Case) -> RungResult:
    """Rung 3: every layer's activation.

    Raises:
        UserError: One of Keras's activations is the same for every example: the case proves nothing.
    """
    trace = case.trace
    theirs = {}
    for layer in trace.layers:
        theirs[layer.name] = trace.kept(f"activation/{layer.name}")
        if is_constant_over_batch(theirs[layer.name]):
            raise UserError(
                f"{trace.folder}: Keras's {layer.name} gives the same for every example, so comparing it "
                "proves nothing: record the trace with another --seed or a larger --batch"
            )
    replay = run(case.module, trace)
    if replay.failure:
        return RungResult(FORWARD, f"{len(theirs)} activations", replay.failed_in, replay.failure)
    ours = _kept_activations(replay, trace)
    for unseen in replay.unseen & theirs.keys():
        del theirs[unseen]
    values = sum(array.size for array in theirs.values())
    compared = f"{len(theirs)} activations, {values:,} values"
    tolerance = TOLERANCES[FORWARD, trace.dtype].residual

    def against_own(net: nn.Module) -> list[Comparison]:
        return compare(_kept_activations(run(net, trace), trace), ours, tolerance)

    # Through fifty layers round-off grows beyond what a net of a dozen has.
    comparisons = allow_own_spread(compare(ours, theirs, tolerance), case, against_own, IN_INFERENCE)
    return from_comparisons(FORWARD, compared, [_at_whole_index(trace, each) for each in comparisons])


def _kept_activations(replay: Replay, trace: Trace) -> dict[str, np.ndarray]:
    """A replay's activations, each where the trace keeps Keras's."""
    return {
        name: trace.keep_same(f"activation/{name}", array) if f"activation/{name}" in trace.entries else array
        for name, array in replay.outputs.items()
    }


RUNGS: tuple[Callable[[Case], RungResult], ...] = (structure, weights, forward)


def rungs_of(trace: Trace) -> tuple[Callable[[Case], RungResult], ...]:
    """The rungs that a trace can be climbed by: those above 3 need a recorded training."""
    return RUNGS + TRAINING_RUNGS if trace.training else RUNGS


def _at_whole_index(trace: Trace, comparison: Comparison) -> Comparison:
    """A comparison of sampled values, its worst element named by its place in the whole activation."""
    if comparison.index is None:
        return comparison
    return replace(comparison, index=trace.place_of(f"activation/{comparison.name}", comparison.index))


def _parameters_by_layer(module: nn.Module, layers: tuple[KerasLayer, ...]) -> dict[str, tuple[int, int]]:
    """Trainable and other numbers of the port under each Keras layer's name, or under the torch module's own.

    Buffers count as not trainable, as Keras counts its moving statistics.
    """
    trainable = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    names = torch_names(module)
    owners = {names.get(layer.name, layer.name): layer.name for layer in layers}
    counts: dict[str, tuple[int, int]] = {}
    for name, tensor in tensors_of(module).items():
        parts = name.split(".")
        prefixes = (".".join(parts[:end]) for end in range(1, len(parts)))
        own = ".".join(parts[:-1]) or name
        owner = next((owners[prefix] for prefix in prefixes if prefix in owners), own)
        yes, no = counts.get(owner, (0, 0))
        size = tensor.numel()
        counts[owner] = (yes + size, no) if name in trainable else (yes, no + size)
    return counts


def _first_structural_fault(
    layers: tuple[KerasLayer, ...], replay: Replay, counts: dict[str, tuple[int, int]]
) -> tuple[str, str]:
    """The first layer, in order of execution, at which the structures part, and how; or two empty strings."""
    left = {layer.name: layer for layer in layers}
    for position in range(1, max(len(layers), len(replay.names)) + 1):
        name = replay.names[position - 1] if position <= len(replay.names) else None
        if not left:
            return str(name), f"{name} runs in the port as number {position}, Keras has {len(layers)} layers"
        first = next(iter(left))
        if name is None and replay.failure:
            return replay.failed_in or first, replay.failure
        # Two branches may run in either order: what counts is that a layer's inputs have run.
        if name is None or name not in left or any(source in left for source in left[name].inputs):
            instead = f"the port runs {name}" if name else "the port runs nothing more"
            return first, f"number {position} in Keras is {first}, {instead}"
        layer = left.pop(name)
        if name not in replay.outputs:
            return name, f"{name} of the port returns no tensor"
        ours = (None, *replay.outputs[name].shape[1:])
        if ours != layer.output_shape:
            return name, f"output shape {_shape(ours)}, Keras has {_shape(layer.output_shape)}"
        have = counts.get(name, (0, 0))
        want = (layer.trainable_parameters, layer.non_trainable_parameters)
        if have != want:
            return name, (
                f"{have[0]:,} parameters trained and {have[1]:,} not, Keras has {want[0]:,} and {want[1]:,}"
            )
    if replay.failure:
        return replay.failed_in, replay.failure
    names = {layer.name for layer in layers} | replay.unseen
    for owner, have in counts.items():
        if owner not in names:
            return owner, f"{sum(have):,} parameters of the port that are in no Keras layer"
    return "", ""


def _shape(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('N' if side is None else str(side) for side in shape)})"
