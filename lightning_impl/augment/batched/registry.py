"""Which transforms run in batches, and how each is built. A transform that is not here is refused.

A builder takes the transform and what the images are like when they come to it (`Stage`), and gives the
operation and what they are like afterwards. It raises `Refusal` for an argument it cannot honour.
"""

from __future__ import annotations

from lightning_impl.augment.batched import (
    affine,
    color_jitter,
    dropout,
    gray,
    keras_operations,
    lattice,
    normalize,
    resized_crop,
    tone,
)
from lightning_impl.augment.batched.stage import Builder, same_stage
from lightning_impl.augment.transforms import KerasAffine, KerasBrightness, KerasChannelShift

BUILDERS: dict[type, Builder] = {
    KerasAffine: same_stage(keras_operations.Affine),
    KerasChannelShift: same_stage(keras_operations.ChannelShift),
    KerasBrightness: same_stage(keras_operations.Brightness),
    **lattice.BUILDERS,
    **affine.BUILDERS,
    **resized_crop.BUILDERS,
    **tone.BUILDERS,
    **color_jitter.BUILDERS,
    **gray.BUILDERS,
    **dropout.BUILDERS,
    **normalize.BUILDERS,
}
