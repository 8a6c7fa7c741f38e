"""The stand-in set: thirty classes of drawn objects, hard in the way photographs are."""

from lightning_impl.data.stand_in.draw import draw_image, encode_image
from lightning_impl.data.stand_in.draw_set import draw_set
from lightning_impl.data.stand_in.objects import CLASS_NAMES

__all__ = ["CLASS_NAMES", "draw_image", "draw_set", "encode_image"]
