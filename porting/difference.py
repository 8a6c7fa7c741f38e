"""What is said of one difference between Keras and torch."""

from __future__ import annotations

from dataclasses import dataclass

from porting.data_port import DataPort
from porting.faults import Fault

BOTH = ("tf2.4", "keras3")


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        number: "D01" and so on; never given twice.
        title: What it is about.
        keras: What Keras does, each generation where they differ.
        torch: What torch or Lightning does when left alone.
        remedy: Where the port does what Keras does.
        source: The file of Keras in which the rule stands.
        rung: The rung that catches it.
        case: The training of parity_tests/training_cases.py that shows it.
        fault: Puts it into a port; None where nothing in a port can show it (`note` says why).
        data_fault: Our data path with it, for rung 8; `case` is then the first comparison that parts.
        profiles: The generations in which the fault parts from Keras.
        dtypes: The precisions in which it does.
        note: What else a team should know.
    """

    number: str
    title: str
    keras: str
    torch: str
    remedy: str
    source: str
    rung: str = ""
    case: str = ""
    fault: Fault | None = None
    data_fault: type[DataPort] | None = None
    profiles: tuple[str, ...] = BOTH
    dtypes: tuple[str, ...] = ("float64",)
    note: str = ""
