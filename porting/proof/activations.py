"""Compares what every call of a layer gives, and what the model gives."""

from __future__ import annotations

from collections.abc import Iterator

from porting.proof.own_error import OwnErrors
from porting.proof.port import Run
from porting.proof.precision import Precision
from porting.proof.recording import RANDOM, Kept, Recording
from porting.proof.residuals import Figure, allowed, apart, typical_norm
from porting.proof.verdict import LAYERS, OUTPUTS, Line, shape_text

Runs = dict[tuple[str, str], Run]
"""By dtype and batch."""


def call_lines(runs: Runs, recording: Recording, precision: Precision, own: OwnErrors) -> Iterator[Line]:
    """Every call of a layer, in the order in which Keras made them."""
    names = {call["name"] for call in recording.calls}
    for call in recording.calls:
        shape = ", ".join(shape_text(shape) for shape in call["outputs"])
        figures: dict[str, Figure] = {}
        fault = ""
        for (dtype, batch), run in runs.items():
            ours = run.calls.get(call["name"])
            if ours is None or len(ours) != len(call["outputs"]):
                fault = run.fault or f"the port gives {len(ours or [])} outputs for {len(call['outputs'])}"
                continue
            for number, output in enumerate(ours):
                key, name = f"{dtype} {batch}", f"{call['name']}:{number}"
                have = run.shapes[call["name"]][number]
                if list(have[1:]) != call["outputs"][number][1:]:
                    fault = f"of shape {shape_text((None, *have[1:]))}"
                else:
                    judged = precision.of_call(call["name"], dtype)
                    bound = allowed(judged, own.of(judged, batch, name), "forward")
                    figure = Figure(_residual(recording, dtype, batch, name, output), bound)
                    figures[key] = max(figure, figures.get(key, figure), key=lambda each: each.share)
        yield Line(LAYERS, call["name"], call["class"], shape, figures, fault)
    for name in dict.fromkeys(name for run in runs.values() for name in run.calls if name not in names):
        yield Line(LAYERS, name, "call", fault="Keras makes no such call")


def output_lines(
    runs: Runs, recording: Recording, precision: Precision, own: OwnErrors, of: str
) -> Iterator[Line]:
    """The model's outputs."""
    for number, shape in enumerate(recording.said["outputs"]):
        figures, fault = {}, ""
        for (dtype, batch), run in runs.items():
            if run.fault or number >= len(run.outputs):
                fault = run.fault or "the port has no such output"
            elif list(run.outputs[number].shape[1:]) != shape[1:]:
                fault = f"of shape {shape_text((None, *run.outputs[number].shape[1:]))}"
            else:
                array, name = run.outputs[number], f":{number}"
                ours = recording.keep(name, array, len(recording.inputs(batch)[0]))
                judged = precision.of_outputs(dtype)
                bound = allowed(judged, own.of(judged, batch, name), "forward")
                residual = _residual(recording, dtype, batch, name, ours)
                figures[f"{dtype} {batch}"] = Figure(residual, bound)
        yield Line(OUTPUTS, f"output {number}", of, shape_text(shape), figures, fault)


def _residual(recording: Recording, dtype: str, batch: str, name: str, ours: Kept) -> float:
    typical = typical_norm(recording.output(dtype, RANDOM, name))
    return apart(ours, recording.output(dtype, batch, name), typical)
