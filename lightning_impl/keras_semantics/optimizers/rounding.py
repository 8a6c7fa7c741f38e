"""The precision of the scalars in an update: Keras computes them in the variable's dtype, not in double.

A Python number reaches tensor arithmetic in two ways: as itself, or through `tf.cast`, which makes it a
float32 tensor first, also where a float64 is asked for. Each update says which takes which way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

# np.float32 or np.float64. Any: mypy has no useful type for arithmetic among these.
Number = Any


def number_of(dtype: torch.dtype) -> Number:
    """The numpy scalar type in which the scalars of parameters of this dtype are computed."""
    return np.float64 if dtype == torch.float64 else np.float32


def cast(value: float, number: Number) -> Number:
    """`tf.cast` of a Python number, or a read of a float32 variable: rounded through float32."""
    return number(np.float32(value))


def power(base: Number, exponent: Number) -> Number:
    """`base ** exponent`, rounded once: numpy's own float32 power is off by a unit in the last place."""
    return type(base)(float(base) ** float(exponent))
