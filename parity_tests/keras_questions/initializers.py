"""Draws of Keras's initialisers."""

from __future__ import annotations

import json

import numpy as np


def draws(keras, cases, count):
    """Every case's draws.

    Args:
        keras: The package.
        cases: JSON, a list of [class name, arguments, kernel shape].
        count: Draws of each.

    Returns:
        "N": the draws of case N, `(count, *shape)`.
    """
    answer = {}
    for number, (name, arguments, shape) in enumerate(json.loads(str(cases))):
        kind = getattr(keras.initializers, name)
        seeded = name not in ("Constant", "Identity", "Ones", "Zeros")
        made = [
            kind(**arguments, **({"seed": 100 + seed} if seeded else {}))(tuple(shape))
            for seed in range(int(count) if seeded else 1)
        ]
        answer[str(number)] = np.stack([np.asarray(each) for each in made])
    return answer
