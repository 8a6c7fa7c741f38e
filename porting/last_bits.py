"""What gradients and trainings over their tolerance are held to: how far a port parts from itself.

Two float32 trainings part by events: a ReLU or a pooling switches at a tie, and from there on they are
different trainings of the same net. It happens to a port and Keras, and to a port and the same port with its
start weights changed in their last bits alike. In float64 such ties do not occur, but an optimizer that
divides by small gradients makes more of a last bit in one training than in another. So an array that is over
its tolerance is looked at again: several copies of the port are run from such weights, and the array may be
off by a few times what they are apart. A fault is in all copies alike: each is as far from Keras, and it
stays an alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import nn

from porting.case import Case
from porting.comparison import Comparison
from porting.training import fresh_net

PROBES = 8
# In float64 copies part smoothly: what is so far over two of them is no matter of last bits.
ENOUGH_PROBES, BEYOND_DOUBT = 2, 1e3
# Of a weight, so that copies are no nearer to each other than float32 is to float64. In inference 2^-19 moves
# activations of v1 and v3 by 3e-6 to 5e-6 of their largest, as much as float32 Keras is off from float64
# (4.6e-6, tolerances.py). In training batch statistics make more of round-off: on images of the stand-in
# float32 v3 is off by 4.6e-6 to 1.6e-5, where 2^-19 would move a layer by a third of that (bn1: 2.6e-6 for
# 7.8e-6). In float64 a port is off from Keras by 5.7e-15.
IN_INFERENCE = {"float32": 2.0**-19, "float64": 2.0**-48}
IN_TRAINING = {"float32": 2.0**-17, "float64": 2.0**-48}
# Eight probes seldom have the farthest event among them.
TIMES_OWN_SPREAD = 3.0


def allow_own_spread(
    comparisons: list[Comparison],
    case: Case,
    against_own: Callable[[nn.Module], list[Comparison]],
    nudge: Mapping[str, float],
) -> list[Comparison]:
    """Judges arrays once more, where they do not hold, by the port's own spread.

    Args:
        comparisons: Of the port's arrays with Keras's.
        case: The port.
        against_own: Compares what a nudged copy of the port gives with what the port gave, under the names
            of `comparisons`.
        nudge: IN_INFERENCE or IN_TRAINING.
    """
    over = {each.name: each.residual for each in comparisons if not each.holds and each.residual is not None}
    if not over:
        return comparisons
    spread = dict.fromkeys(over, 0.0)
    for probe in range(PROBES):
        net = fresh_net(case.module, case.trace)
        nudge_weights(net, probe, nudge[case.trace.dtype])
        for each in against_own(net):
            if each.name in spread and each.residual is not None:
                spread[each.name] = max(spread[each.name], each.residual)
        if probe + 1 == ENOUGH_PROBES and _is_beyond_doubt(over, spread, case.trace.dtype):
            break
    return [_judged(each, TIMES_OWN_SPREAD * spread.get(each.name, 0.0)) for each in comparisons]


def _is_beyond_doubt(over: dict[str, float], spread: dict[str, float], dtype: str) -> bool:
    """Whether a float64 array is so far off that no more probes need be asked: there are no events there."""
    return dtype == "float64" and any(
        residual > BEYOND_DOUBT * spread[name] for name, residual in over.items()
    )


def _judged(comparison: Comparison, allowed: float) -> Comparison:
    if comparison.residual is None or allowed <= comparison.tolerance:
        return comparison
    holds = comparison.residual <= allowed
    fault = (
        "" if holds else f"residual {comparison.residual:.3g} over {allowed:.3g}, thrice the port's spread"
    )
    return replace(comparison, tolerance=allowed, fault=fault)


@torch.no_grad()
def nudge_weights(net: nn.Module, probe: int, nudge: float) -> None:
    """Changes every parameter by up to `nudge` of itself, another way for each probe."""
    generator = torch.Generator().manual_seed(probe)
    for parameter in net.parameters():
        change = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.mul_(1 + change.mul_(2 * nudge).sub_(nudge))
