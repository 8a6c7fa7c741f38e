"""What float32 gradients and trainings are compared by: how far a port parts from itself.

Two float32 trainings part by events: a ReLU or a pooling switches at a tie, and from there on they are
different trainings of the same net. It happens to a port and Keras, and to a port and the same port with its
start weights changed in their last bits alike. So an array that is over its tolerance in float32 is looked at
again: several copies of the port are run from such weights, and the array may be off by a few times what they
are apart. A fault is in all copies alike: each is as far from Keras, and it stays an alarm. In float64 ties
this close do not occur, and nothing is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from porting.case import Case
from porting.comparison import Comparison
from porting.training import fresh_net

PROBES = 8
# Of a weight. It moves activations of v1 and v3 by 3e-6 to 5e-6 of their largest, as much as float32 Keras is
# off from float64 Keras (4.6e-6, tolerances.py).
NUDGE = 2.0**-19
# Eight probes seldom have the farthest event among them.
TIMES_OWN_SPREAD = 3.0


def allow_own_spread(
    comparisons: list[Comparison], case: Case, against_own: Callable[[nn.Module], list[Comparison]]
) -> list[Comparison]:
    """Judges float32 arrays once more, where they do not hold, by the port's own spread.

    Args:
        comparisons: Of the port's arrays with Keras's.
        case: The port; a float64 one's comparisons stay as they are.
        against_own: Compares what a nudged copy of the port gives with what the port gave, under the names
            of `comparisons`.
    """
    over = [each.name for each in comparisons if not each.holds and each.residual is not None]
    if case.trace.dtype != "float32" or not over:
        return comparisons
    spread = dict.fromkeys(over, 0.0)
    for probe in range(PROBES):
        net = fresh_net(case.module, case.trace)
        nudge_weights(net, probe)
        for each in against_own(net):
            if each.name in spread and each.residual is not None:
                spread[each.name] = max(spread[each.name], each.residual)
    return [_judged(each, TIMES_OWN_SPREAD * spread.get(each.name, 0.0)) for each in comparisons]


def _judged(comparison: Comparison, allowed: float) -> Comparison:
    if comparison.residual is None or allowed <= comparison.tolerance:
        return comparison
    holds = comparison.residual <= allowed
    fault = (
        "" if holds else f"residual {comparison.residual:.3g} over {allowed:.3g}, thrice the port's spread"
    )
    return replace(comparison, tolerance=allowed, fault=fault)


@torch.no_grad()
def nudge_weights(net: nn.Module, probe: int) -> None:
    """Changes every parameter by up to NUDGE of itself, another way for each probe."""
    generator = torch.Generator().manual_seed(probe)
    for parameter in net.parameters():
        change = torch.rand(parameter.shape, generator=generator).mul_(2 * NUDGE).sub_(NUDGE)
        parameter.mul_(1 + change.to(parameter.dtype))
