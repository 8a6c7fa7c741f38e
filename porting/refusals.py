"""What of a model cannot be converted, and why: said the same by `inspect` and by `convert`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from parity_common.command_errors import UserError
from porting.keras_file.model_config import INPUT_LAYER
from porting.keras_file.problems import shown

WITHOUT_RULE = "there is no rule for "
"""How a reason begins that is the layer's class, or the function that it calls."""
LONGEST_REASON = 600


def lies_in_the_layer(reason: str) -> bool:
    """Whether a reason holds whatever tensors the layer takes; an axis is one of theirs."""
    is_argument = "has no rule" in reason and not re.search("axis|axes", reason)
    return reason.startswith(WITHOUT_RULE) or is_argument


@dataclass(frozen=True)
class Refusal:
    """Layers of one class that cannot be converted for one reason.

    Attributes:
        class_name: Keras's.
        reason: One line.
        layers: Their paths, "inner/conv".
    """

    class_name: str
    reason: str
    layers: tuple[str, ...]

    def __str__(self) -> str:
        named = ", ".join(f'"{layer}"' for layer in self.layers)
        return f"{self.class_name} {named}: {self.reason}"


class CannotConvert(UserError):
    """Layers that have no rule, or that their rule refuses: all of them, those of one reason in one line.

    Args:
        refusals: The layers.
        unseen: How many layers behind them could not be judged.

    Attributes:
        refusals: The layers.
    """

    def __init__(self, refusals: Iterable[Refusal], unseen: int = 0) -> None:
        self.refusals = tuple(refusals)
        count = sum(len(refusal.layers) for refusal in self.refusals)
        said = f"{count} of the model's layers cannot be converted: {'; '.join(map(str, self.refusals))}"
        said += f" ({unseen} behind them not judged: what they take is not known)" if unseen else ""
        super().__init__(f"{said}. {remedy_for(self.refusals)}".removesuffix(". "))


def remedy_for(refusals: Iterable[Refusal]) -> str:
    """What can be done beside what the reasons say; "" where nothing can."""
    if all(refusal.class_name == INPUT_LAYER for refusal in refusals):
        return ""
    return (
        "A function of yours that does the same may stand for a layer: convert it with "
        "--custom LAYER=package.module:function; it takes the layer's inputs and, behind them, its weights"
    )


class Refusals:
    """Collects what is refused. A shared layer is refused once a call, and named once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._unseen: set[tuple[str, ...]] = set()

    def add(self, class_name: str, reason: str, path: Iterable[str]) -> None:
        """Takes in a layer."""
        # A reason may quote what a damaged file says at any length.
        reason = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
        self._found[shown(class_name), reason][shown("/".join(path))] = None

    def pass_over(self, path: Iterable[str]) -> None:
        """Takes in a layer of which nothing can be said, since what it takes is not known."""
        self._unseen.add(tuple(path))

    def check(self) -> None:
        """Refuses the model where anything of it was refused.

        Raises:
            CannotConvert: Names every such layer.
        """
        if self._found:
            found = (
                Refusal(class_name, reason, tuple(layers))
                for (class_name, reason), layers in self._found.items()
            )
            raise CannotConvert(found, len(self._unseen))
