"""Arguments of final that both sides refuse alike."""

from __future__ import annotations

from parity_common.command_errors import UserError

# Backbones that drop residual branches in training (D49).
WITH_STOCHASTIC_DEPTH = ("efficientnet_b0", "efficientnet_lite0")


def check_shares(backbone: str, dropout: float, drop_connect_rate: float | None) -> None:
    """Refuses shares that are none, and a rate of dropping branches for a backbone that drops none.

    Args:
        backbone: Its name.
        dropout: Before the dense layer.
        drop_connect_rate: Of the last residual branch, or None for the backbone's own.

    Raises:
        UserError: One of them.
    """
    shares: dict[str, object] = {"dropout": dropout}
    if drop_connect_rate is not None:
        shares["drop_connect_rate"] = drop_connect_rate
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise UserError(f"model.arch_arguments: {name} is {share!r}: give a share from 0 up to 1")
    if drop_connect_rate is not None and backbone not in WITH_STOCHASTIC_DEPTH:
        raise UserError(
            f"model.arch_arguments: {backbone} drops no branches: leave drop_connect_rate out, or give null"
        )
