"""Small torch classes that a converted model.py may need: their source is written into it.

Each file imports torch alone. A helper may use another one by its name.
"""

from __future__ import annotations

from typing import Any

from porting.helpers import (
    activation,
    attention,
    custom,
    image,
    noise,
    normalization,
    padding,
    pooling,
    recurrent,
    recurrent_steps,
    separable,
    shape,
    wrapper,
)

_MODULES = (
    *(
        activation,
        attention,
        custom,
        image,
        noise,
        normalization,
        padding,
        pooling,
        recurrent,
        recurrent_steps,
    ),
    *(separable, shape, wrapper),
)

HELPERS: dict[str, Any] = {
    name: helper
    for module in _MODULES
    for name, helper in sorted(vars(module).items())
    if getattr(helper, "__module__", None) == module.__name__
}
"""By name."""
