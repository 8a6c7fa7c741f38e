"""Layers that act in training alone: dropout, noise and penalties on activations.

Source: keras 3.15 layers/regularization; the same distributions in tf_keras 2.21.
"""

from __future__ import annotations

from porting.rules.piece import Make, Order, Piece, Refused, Site, Step, only


def dropout(site: Site) -> Piece:
    """Dropout of single values, or along axes together."""
    order = site.input.order
    rate, shape = site.stated("rate"), site.config.get("noise_shape")
    if shape is None:
        return _single(Make("nn.Dropout", {"p": rate}), order)
    if not isinstance(shape, list) or len(shape) != site.rank:
        raise Refused(f"noise_shape={shape!r} is not {site.rank} sizes")
    # A size that is the tensor's own says the same as None.
    sizes = [None if size == own else size for size, own in zip(shape, site.input.shape, strict=True)]
    if any(size not in (None, 1) for size in sizes):
        raise Refused(f"noise_shape={shape!r} does not fit its input {site.input.shape}")
    make = Make("NoiseShapeDropout", {"p": rate}, {"shape": tuple(sizes[axis] for axis in order)})
    return _single(make, order, "D49")


def stochastic_depth(site: Site) -> Piece:
    """StochasticDepth of keras.applications' ConvNeXt: the whole branch of an example, or nothing (D49)."""
    order = site.input.order
    shape = (None, *(1,) * (site.rank - 1))
    make = Make("NoiseShapeDropout", {"p": site.stated("drop_path_rate")}, {"shape": shape})
    return Piece((Step(make),), orders=(order,), order=order, differences=("D49",), shape=site.input.shape)


def spatial_dropout(site: Site) -> Piece:
    """SpatialDropout1D, 2D and 3D: whole channels."""
    return _single(Make(f"nn.Dropout{site.rank - 2}d", {"p": site.stated("rate")}), site.image_order())


def alpha_dropout(site: Site) -> Piece:
    """AlphaDropout."""
    only(site, noise_shape=None)
    return _single(Make("nn.AlphaDropout", {"p": site.stated("rate")}), site.input.order)


def gaussian_noise(site: Site) -> Piece:
    """GaussianNoise."""
    return _single(Make("GaussianNoise", {"deviation": site.stated("stddev")}), site.input.order)


def gaussian_dropout(site: Site) -> Piece:
    """GaussianDropout."""
    return _single(Make("GaussianDropout", {"p": site.stated("rate")}), site.input.order)


def activity_regularization(site: Site) -> Piece:
    """ActivityRegularization: passes its input on."""
    order = site.input.order
    l1, l2 = site.config.get("l1", 0.0), site.config.get("l2", 0.0)
    note = f"adds l1={l1:g}, l2={l2:g} of its activations to the loss of training, which is not carried over"
    return Piece((Step(Make("nn.Identity")),), orders=(order,), order=order, notes=(note,))


def _single(make: Make, order: Order, *differences: str) -> Piece:
    return Piece((Step(make),), orders=(order,), order=order, differences=differences)


RULES = {
    "Dropout": dropout,
    **{f"SpatialDropout{axes}D": spatial_dropout for axes in (1, 2, 3)},
    "StochasticDepth": stochastic_depth,
    "AlphaDropout": alpha_dropout,
    "GaussianNoise": gaussian_noise,
    "GaussianDropout": gaussian_dropout,
    "ActivityRegularization": activity_regularization,
}
