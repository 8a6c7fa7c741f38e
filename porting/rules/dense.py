"""Dense. Source: keras 3.15 layers/core/dense.py; the same in tf_keras 2.21."""

from __future__ import annotations

from porting.rules.activation import activation_steps
from porting.rules.piece import Carry, Make, Piece, Site, Step, keras_order, known


def dense(site: Site) -> Piece:
    """A product over Keras's last axis, whatever the number of axes."""
    features = known(site.input.shape[-1], "the size of its last axis")
    keywords = {} if site.config.get("use_bias", True) else {"bias": False}
    make = Make("nn.Linear", {"in_features": features, "out_features": site.stated("units")}, keywords)
    order = keras_order(site.rank)
    weights = {"kernel": Carry("weight", (1, 0)), "bias": Carry("bias")}
    return Piece((Step(make), *activation_steps(site, order)), orders=(order,), order=order, weights=weights)


RULES = {"Dense": dense}
