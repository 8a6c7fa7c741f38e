"""What float32 Keras is off from float64 Keras, and what another draw of its round-off would be.

One run is one draw. Where an output hangs on a few numbers that all but cancel out, as a sigmoid's does
behind values far out of their range, a draw says little of the next: at "block6d_se_expand" of an
EfficientNetV2B0 float32 Keras 3 was off by 9.2e-5, and eight float32 ports with other last bits by 2.2e-3 in
their quadratic mean. How far an output moves when weights change in their last bits says it: a float32 layer
gives what an exact one with weights changed by a few roundings does (backward error; Higham, Accuracy and
Stability of Numerical Algorithms, 3.1). How many roundings they are is seen of all outputs together, by what
Keras's were off. Nothing of it is computed in float32 by the port: one that is less exact there is allowed no
more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from porting.graph import LayerPath
from porting.interpreter import Interpreter
from porting.last_bits import PROBES, nudge_weights
from porting.program import Program
from porting.proof.port import Run, run_program
from porting.proof.recording import FLOAT32, FLOAT64, RANDOM, Kept, Recording
from porting.proof.residuals import ROUNDED, apart, typical_norm

Weights = Mapping[LayerPath, Mapping[str, Tensor]]
LAST_BIT = 2.0**-24
"""Float32's unit round-off. The number of roundings being measured, a few times as much would do as well."""


class OwnErrors:
    """Float32 Keras's own error of every output, in the measure of a residual.

    Args:
        recording: Keras's.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._expected: dict[tuple[str, str], float] = {}
        self._moved: dict[tuple[str, str], float] = {}

    def measured(self, batch: str, name: str) -> float | None:
        """Of the one run that was recorded; None where there is none in float64."""
        if FLOAT64 not in self._recording.dtypes:
            return None
        single, double = (self._recording.output(dtype, batch, name) for dtype in (FLOAT32, FLOAT64))
        return apart(single, double, typical_norm(self._recording.output(FLOAT32, RANDOM, name)))

    def of(self, judged: str, batch: str, name: str) -> float | None:
        """What a run's bound is a multiple of; in float64 no more is expected than was measured.

        Args:
            judged: Its dtype, or ROUNDED.
            batch: Of the inputs.
            name: The output's.
        """
        if judged == ROUNDED:
            return self._moved.get((batch, name))
        measured = self.measured(batch, name)
        if measured is None or judged == FLOAT64:
            return measured
        return max(measured, self._expected.get((batch, name), 0.0))

    def expect_rounded(self, batch: str, moved: Mapping[str, float]) -> None:
        """Takes in the same for what Keras rounds in float64, of the outputs of the layers that do."""
        self._moved |= {(batch, name): far for name, far in moved.items()}

    def expect(self, batch: str, moved: Mapping[str, float]) -> None:
        """Takes in how far outputs move when weights change in their last bits.

        Args:
            batch: Of the inputs.
            moved: By the outputs' names, in the measure of a residual.
        """
        own = {name: self.measured(batch, name) or 0.0 for name in moved}
        known = [name for name, far in moved.items() if 0 < far < np.inf and 0 < own[name] < np.inf]
        roundings = float(np.median([own[name] / moved[name] for name in known])) if known else 0.0
        self._expected |= {(batch, name): roundings * moved[name] for name in known}


Change = Callable[[Interpreter, int], None]
"""Changes a copy of the port in its last bits, another way for each probe."""


def change_weights(nudge: float) -> Change:
    """Every weight by up to `nudge` of itself: by LAST_BIT as a float32 computation does."""
    return partial(nudge_weights, nudge=nudge)


def change_outputs(paths: Iterable[LayerPath]) -> Change:
    """What layers give, as those do whose constants Keras rounds to float32.

    Args:
        paths: Of the layers.
    """

    def change(net: Interpreter, probe: int) -> None:
        generator = torch.Generator().manual_seed(probe)

        def nudge(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
            part = torch.rand(output.shape, generator=generator, dtype=output.dtype)
            return output * (1 + LAST_BIT * (2 * part - 1))

        for path in paths:
            for last in list(net.pieces[path])[-1:]:
                last.register_forward_hook(nudge)

    return change


def copy_of(
    program: Program,
    weights: Weights,
    dtype: str,
    change: Change | None = None,
    probe: int = 0,
) -> Interpreter:
    """A port of its own tensors.

    Args:
        program: The port.
        weights: Its tensors; they stay as they are.
        dtype: In which it runs.
        change: Done to it.
        probe: Which of the changes.
    """
    copies = {path: {name: each.clone() for name, each in named.items()} for path, named in weights.items()}
    interpreter = Interpreter(program, copies).to(getattr(torch, dtype)).eval()
    if change is not None:
        change(interpreter, probe)
    return interpreter


def moved_by_last_bits(
    program: Program, weights: Weights, recording: Recording, run: Run, batch: str, change: Change
) -> dict[str, float]:
    """How far float64 outputs of the port move at most when something changes in float32's last bits.

    Args:
        program: The port.
        weights: Its tensors.
        recording: Holds the inputs.
        run: What the port gives in float64.
        batch: Of the inputs.
        change: Does it.
    """
    was = kept_outputs(run, recording, batch)
    moved = dict.fromkeys(was, 0.0)
    for probe in range(PROBES):
        copy = copy_of(program, weights, FLOAT64, change, probe)
        nudged = kept_outputs(run_program(copy, recording, FLOAT64, batch), recording, batch)
        for name in was:
            typical = typical_norm(recording.output(FLOAT32, RANDOM, name))
            moved[name] = max(moved[name], apart(nudged[name], was[name], typical))
    return moved


def kept_outputs(run: Run, recording: Recording, batch: str) -> dict[str, Kept]:
    """What is kept of a run by the recording's names: "conv:0" of a call, ":0" of the model."""
    of_calls = {
        f"{name}:{place}": kept for name, call in run.calls.items() for place, kept in enumerate(call)
    }
    size = len(recording.inputs(batch)[0])
    of_model = {
        f":{place}": recording.keep(f":{place}", array, size) for place, array in enumerate(run.outputs)
    }
    return of_calls | of_model
