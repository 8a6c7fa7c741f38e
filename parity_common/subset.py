"""Which of a class's images a smaller run takes. One rule for both frameworks."""

from __future__ import annotations

import numpy as np


def choose_subset(count: int, keep: int | None, seed: int, class_number: int) -> list[int]:
    """Places of the images kept, in rising order.

    The draw is one shuffle a class, cut off after `keep`: a smaller subset lies inside a larger one.

    Args:
        count: Images the class has.
        keep: Images to keep, None for all. More than there are keeps all.
        seed: `data.subset_seed`.
        class_number: The class's label, so that classes draw apart.
    """
    if keep is None or keep >= count:
        return list(range(count))
    shuffled = np.random.RandomState([seed, class_number]).permutation(count)
    return sorted(int(place) for place in shuffled[:keep])
