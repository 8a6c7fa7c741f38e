"""What the rungs share: one port on the ladder, and what a rung found."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from parity_common.command_errors import UserError
from porting.comparison import Comparison
from porting.recipe import Recipe
from porting.trace import Trace

RUNG_NUMBERS = {
    "structure": 1,
    "weights": 2,
    "forward": 3,
    "loss": 4,
    "gradients": 5,
    "update": 6,
    "state": 7,
    "data": 8,
    "trajectory": 9,
    "accuracy": 10,
}


@dataclass(frozen=True)
class RungResult:
    """What one rung found.

    Attributes:
        name: One of RUNG_NUMBERS.
        compared: What was compared, such as "27 layers".
        layer: The first layer that parts, or where the worst residual that holds lies; "" for none.
        fault: What parts, with figures, or "".
        comparisons: Every array that was compared, in the order of execution.
    """

    name: str
    compared: str
    layer: str = ""
    fault: str = ""
    comparisons: tuple[Comparison, ...] = ()

    @property
    def number(self) -> int:
        """1 to 10."""
        return RUNG_NUMBERS[self.name]

    @property
    def holds(self) -> bool:
        return not self.fault

    @property
    def worst(self) -> Comparison | None:
        """The comparison nearest to its tolerance, or furthest over it; None where there are no numbers."""
        measured = [each for each in self.comparisons if each.residual is not None]
        return max(measured, key=_share_of_tolerance, default=None)

    @property
    def residual(self) -> float | None:
        """That of `worst`."""
        return None if self.worst is None else self.worst.residual


@dataclass
class Case:
    """One port on the ladder: what the rungs share.

    Attributes:
        trace: What Keras did.
        module: The port. Rung 2 gives it Keras's weights; the rungs above run it with them.
        recipe: How it trains, or None where the trace records no training.
    """

    trace: Trace
    module: nn.Module
    recipe: Recipe | None = None


def from_comparisons(name: str, compared: str, comparisons: list[Comparison]) -> RungResult:
    """A rung's result: the first array that parts, or the worst residual that holds."""
    first = next((each for each in comparisons if not each.holds), None)
    if first is None:
        holds = RungResult(name, compared, "", "", tuple(comparisons))
        layer = holds.worst.name.split("/")[0] if holds.worst and holds.worst.residual else ""
        return replace(holds, layer=layer)
    fault = f"{first.name}: {first.fault}"
    if first.index is not None:
        fault += f", worst at {list(first.index)}: ours {first.ours:.9g}, Keras {first.theirs:.9g}"
    return RungResult(name, compared, first.name.split("/")[0], fault, tuple(comparisons))


def _share_of_tolerance(comparison: Comparison) -> float:
    residual = comparison.residual or 0.0
    if comparison.tolerance:
        return residual / comparison.tolerance
    return float("inf") if residual else 0.0


def recipe_of_case(case: Case) -> Recipe:
    """How the case's port trains.

    Raises:
        UserError: Its trace records no training.
    """
    if case.recipe is None:
        raise UserError(f"{case.trace.folder} records no training: record it with --epochs")
    return case.recipe
