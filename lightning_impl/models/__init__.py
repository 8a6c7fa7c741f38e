"""The record's classifiers and one for studies, one whole in each file."""

from lightning_impl.models.final import Final
from lightning_impl.models.plain import Plain
from lightning_impl.models.v1 import V1
from lightning_impl.models.v2 import V2
from lightning_impl.models.v3 import V3

ARCHITECTURES: dict[str, type[V1] | type[V2] | type[V3] | type[Final] | type[Plain]] = {
    "v1": V1,
    "v2": V2,
    "v3": V3,
    "final": Final,
    "plain": Plain,
}
"""`model.arch` of a config to the class: called with classes, image_size and profile."""
