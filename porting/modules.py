"""The torch modules of a piece."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from porting.helpers import HELPERS
from porting.rules.piece import CustomFunction, Make, Piece

NAMES = {"torch": torch, "nn": nn, "F": F, **HELPERS}
"""What the source of a module or of an expression may name."""


def make_module(make: Make, custom: CustomFunction | None = None) -> nn.Module:
    """Makes a module as the source of a converted model does; what it holds from a file are literals.

    Args:
        make: The making.
        custom: The function of the user's own that it names, if it does.
    """
    own = {} if custom is None else {custom.function: custom.load()}
    return eval(make.source(), {**NAMES, **own})


def make_empty(piece: Piece) -> list[nn.Module]:
    """The modules of a piece without memory: for their shapes, and to see that they can be made."""
    with torch.device("meta"):
        return [make_module(step.make, piece.custom) for step in piece.steps]


def match_buffers(module: nn.Module) -> None:
    """Gives buffers that no state dict holds, such as a bias that stays zero, the dtype of their weights.

    Weights that were assigned have that of their file, whatever the module was made in.
    """
    for part in module.modules():
        weight = next(part.parameters(recurse=False), None)
        stated = part.state_dict()
        for name, buffer in list(part.named_buffers(recurse=False)):
            if weight is not None and name not in stated and buffer.is_floating_point():
                setattr(part, name, buffer.to(weight.dtype))


def run_piece(piece: Piece, modules: Sequence[nn.Module], tensors: Sequence[Tensor]) -> Tensor:
    """What a piece gives.

    Args:
        piece: The piece.
        modules: Those of its steps.
        tensors: In the piece's orders of axes.
    """
    taken = list(tensors) if piece.merge is None else [_merged(piece, tensors)]
    if piece.takes:
        taken = [taken[place] for place in piece.takes]
    for module in modules:
        taken = [module(*taken)]
    return taken[0]


def _merged(piece: Piece, tensors: Sequence[Tensor]) -> Tensor:
    assert piece.merge is not None
    names = [f"tensor{place}" for place in range(len(tensors))]
    known = {**NAMES, **dict(zip(names, tensors, strict=True))}
    if piece.custom is not None:
        known[piece.custom.function] = piece.custom.load()
    return eval(piece.merge.format(*names), known)
