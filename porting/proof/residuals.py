"""How far two arrays are apart, and how far they may be.

A residual is the norm of the difference over the norm of Keras's array, of each example by itself: an example
with large values does not hide another. What float32 Keras is off from float64 Keras, in the same measure, is
what round-off does to this array; no port can be held to less than a small multiple of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from porting.proof.recording import FLOAT64, Kept

ROUNDED = "float64 of rounded numbers"
"""In float64 behind a layer that Keras computes, or whose constants it holds, in float32."""
# What a float32 layer may be off where round-off is small, and float64 likewise.
FORWARD = {"float32": 2e-5, "float64": 1e-9, ROUNDED: 1e-6}
GRADIENT = FORWARD
# Two float32 computations are each off from the true one, by different round-off.
OWN_ERRORS = {"forward": 4.0, "gradient": 8.0}
# float64's round-off is that of float32 times this; a float64 port may be off by as many of them.
FLOAT64_OF_FLOAT32 = 2.0**-29
FLOAT64_ERRORS = 16.0
# An example whose output almost cancels out is measured by this share of the others'.
LEAST_SHARE = 1e-3
TELLING = 1e-2
"""A residual that may be larger than this tells nothing: round-off decides what is compared."""
# Outputs that differ less between the random inputs say little (record_file.py draws them so that they do).
LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Figure:
    """A residual.

    Attributes:
        residual: Infinite where something is finite on one side only.
        allowed: What it may be.
    """

    residual: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether it is not larger; of no number it is not."""
        return bool(self.residual <= self.allowed)

    @property
    def tells(self) -> bool:
        """Whether its bound is narrow enough for a fault to be seen."""
        return self.allowed <= TELLING

    @property
    def share(self) -> float:
        """Of what is allowed."""
        return self.residual / self.allowed


def allowed(dtype: str, own_error: float | None, kind: str) -> float:
    """What a residual may be.

    Args:
        dtype: The port's, or ROUNDED.
        own_error: Float32 Keras's from float64 Keras; None where that could not be run. Of ROUNDED: how far
            the port's float64 moves with float32's last bits of its weights; None where nobody looked.
        kind: "forward" or "gradient".
    """
    least = (FORWARD if kind == "forward" else GRADIENT)[dtype]
    if own_error is None or not np.isfinite(own_error):
        return least
    if dtype != FLOAT64:
        return max(least, OWN_ERRORS[kind] * own_error)
    return max(least, FLOAT64_ERRORS * FLOAT64_OF_FLOAT32 * own_error)


def apart(ours: Kept, theirs: Kept, typical: float) -> float:
    """The residual of an output: the worst example's, of the values kept or of the norm of the whole.

    Args:
        ours: The port's.
        theirs: Keras's.
        typical: The norm of the values of an usual example; a much smaller norm is not divided by.
    """
    if ours.values.shape != theirs.values.shape:
        return float("inf")
    values = rows_apart(ours.values, theirs.values, typical)
    whole = rows_apart(ours.norms[:, None], theirs.norms[:, None], typical)
    return max(values, whole)


def rows_apart(ours: np.ndarray, theirs: np.ndarray, typical: float = 0.0) -> float:
    """The largest residual of the rows of two arrays `(N, values)` of one shape."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(b)
    # Infinities must be the same; two that are no number are alike.
    if not np.array_equal(np.where(finite, 0, b), np.where(np.isfinite(a), 0, a), equal_nan=True):
        return float("inf")
    a, b = np.where(finite, a, 0), np.where(finite, b, 0)
    difference = np.sqrt(np.sum(np.square(a - b), axis=1))
    scale = np.maximum(np.sqrt(np.sum(np.square(b), axis=1)), LEAST_SHARE * typical)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = np.where(difference == 0, 0.0, difference / scale)
    return float(np.max(residuals, initial=0.0))


def typical_norm(kept: Kept) -> float:
    """The usual norm of an example's kept values."""
    values = np.where(np.isfinite(kept.values), kept.values, 0).astype(np.float64)
    return float(np.sqrt(np.sum(np.square(values)) / max(1, len(values))))
