"""What both sides refuse of `plain`'s arguments before they build it."""

from __future__ import annotations

from collections.abc import Sequence

from parity_common.command_errors import UserError


def check_plain(image_size: Sequence[int], filters: Sequence[int], dense: Sequence[int]) -> None:
    """Checks the arguments of `plain`.

    Args:
        image_size: Height and width in pixels; each stage halves both.
        filters: Of each stage's convolution.
        dense: Width of each dense layer before the head; none is allowed.

    Raises:
        UserError: Not a list of whole numbers above 0, no stage, or images too small for so many stages.
    """
    for name, widths, least in (("filters", filters, 1), ("dense", dense, 0)):
        is_list = isinstance(widths, list | tuple) and len(widths) >= least
        if not is_list or not all(type(width) is int and width > 0 for width in widths):
            raise UserError(
                f"model.arch_arguments: plain's {name} is {widths}: give a list of whole numbers above 0, "
                "such as [32, 64]"
            )
    least_side = 2 ** len(filters)
    if min(image_size) < least_side:
        raise UserError(
            f"data.image_size {list(image_size)} is too small for {len(filters)} stages of plain: "
            f"give {least_side} pixels a side"
        )
