"""The cases that every rule is proven on, one file a family. None imports Keras or torch."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from functools import cache

from parity_tests.rule_cases.case import Case

# The page tells a layer under the first family that has it.
FAMILIES = (
    *("activation", "convolution", "image", "merge", "normalization"),
    *("operation", "pooling", "shape", "channels_first"),
    *("attention", "embedding", "recurrent", "wrapper"),
)


@cache
def cases_of(family: str) -> tuple[Case, ...]:
    """A family's cases."""
    return tuple(importlib.import_module(f"parity_tests.rule_cases.{family}").CASES)


def cases_for(family: str, profile: str, dtype: str) -> Iterator[Case]:
    """Those of a generation and precision.

    All are run in float64 where TensorFlow has it; in float32, whose kernels are the same but for
    BatchNormalization's, two of each layer.
    """
    seen: Counter[str] = Counter()
    for case in cases_of(family):
        if profile in case.generations and dtype in case.dtypes:
            seen[case.layer] += 1
            if dtype == "float64" or len(case.dtypes) == 1 or seen[case.layer] <= 2 or "Batch" in case.layer:
                yield case
