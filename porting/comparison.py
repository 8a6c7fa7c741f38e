"""The one comparison of arrays: ours against Keras's, and the check that a case says anything at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from parity_common.command_errors import did_you_mean

# Of an activation's largest value: less spread over the batch and a net that ignores its input would pass.
# The least measured on v1-v3 is 1.4e-2, the loosest tolerance 1e-5.
LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Comparison:
    """One array compared.

    Attributes:
        name: Its logical name.
        tolerance: What `residual` may be; 0 means the same bytes.
        residual: max|ours - theirs| / max|theirs|, or None where no numbers could be compared.
        fault: Why it parts, in words, or "" when it holds.
        index: Of the worst element.
        ours: The worst element's value.
        theirs: Keras's there.
    """

    name: str
    tolerance: float
    residual: float | None = None
    fault: str = ""
    index: tuple[int, ...] | None = None
    ours: float | None = None
    theirs: float | None = None

    @property
    def holds(self) -> bool:
        return not self.fault


def compare(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray], tolerance: float
) -> list[Comparison]:
    """Compares two sets of arrays, in the order of `theirs`; what only we have comes last.

    Args:
        ours: The port's, by logical name.
        theirs: Keras's.
        tolerance: The largest residual that holds; 0 asks for the same bytes.
    """
    results = []
    only_ours = [name for name in ours if name not in theirs]
    for name, array in theirs.items():
        if name in ours:
            results.append(compare_array(name, ours[name], array, tolerance))
        else:
            near = did_you_mean(name, only_ours)
            results.append(Comparison(name, tolerance, fault=f"the port has no {name}{near}"))
    results += [Comparison(name, tolerance, fault=f"Keras has no {name}") for name in only_ours]
    return results


def compare_array(
    name: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float, scale: float | None = None
) -> Comparison:
    """Compares one array with Keras's: shape, dtype, non-finite values, then the worst element.

    Args:
        name: Its logical name.
        ours: The port's.
        theirs: Keras's.
        tolerance: The largest residual that holds; 0 asks for the same bytes.
        scale: What a difference is measured by; None: max|theirs|.
    """
    if ours.shape != theirs.shape:
        return Comparison(name, tolerance, fault=f"shape {ours.shape}, Keras has {theirs.shape}")
    if ours.dtype != theirs.dtype:
        return Comparison(name, tolerance, fault=f"dtype {ours.dtype}, Keras has {theirs.dtype}")
    if theirs.size == 0:
        return Comparison(name, tolerance, fault="no values to compare")
    for side, array in (("ours", ours), ("Keras's", theirs)):
        broken = int(np.count_nonzero(~np.isfinite(array)))
        if broken:
            return Comparison(
                name, tolerance, fault=f"{broken} of {array.size} values of {side} are not finite"
            )
    # In float64: a float32 difference of near numbers is exact, but its maximum over a scale is not.
    difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    index = np.unravel_index(int(np.argmax(difference)), difference.shape)
    scale = float(np.max(np.abs(theirs.astype(np.float64)))) if scale is None else scale
    largest = float(difference[index])
    residual = largest / scale if scale else (float("inf") if largest else 0.0)
    fault = ""
    if residual > tolerance:
        fault = f"residual {residual:.3g} over {tolerance:.3g}"
    elif tolerance == 0 and ours.tobytes() != theirs.tobytes():
        fault = "equal numbers, but not the same bytes (a zero's sign)"
    return Comparison(
        name,
        tolerance,
        residual,
        fault,
        tuple(int(position) for position in index),
        float(ours[index]),
        float(theirs[index]),
    )


def spread_over_batch(array: np.ndarray) -> float:
    """How much an activation `(N, ...)` differs between examples: max|a[i] - a[0]| / max|a|."""
    values = array.astype(np.float64)
    scale = float(np.max(np.abs(values)))
    return float(np.max(np.abs(values - values[:1]))) / scale if scale else 0.0


def is_constant_over_batch(array: np.ndarray) -> bool:
    """Whether an activation says next to nothing of its input: comparing it proves nothing."""
    return spread_over_batch(array) < LEAST_SPREAD
