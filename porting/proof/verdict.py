"""What a proof says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from porting.proof.interpreters import Attempt
from porting.proof.residuals import Figure

STRUCTURE, WEIGHTS, LAYERS, OUTPUTS, GRADIENTS = "structure", "weights", "layers", "outputs", "gradients"
RUNGS = (STRUCTURE, WEIGHTS, LAYERS, OUTPUTS, GRADIENTS)


@dataclass(frozen=True)
class Line:
    """One thing compared.

    Attributes:
        rung: One of RUNGS.
        name: The layer's, call's, output's or weight's.
        kind: The layer's class, or what else it is.
        shape: `(N, 32, 32, 16)` in Keras's order, or "".
        figures: By "float32 random".
        fault: Why it parts where that is not a figure, or "".
    """

    rung: str
    name: str
    kind: str
    shape: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    fault: str = ""

    @property
    def holds(self) -> bool:
        return not self.fault and all(figure.holds for figure in self.figures.values())

    @property
    def worst(self) -> tuple[str, Figure] | None:
        """The figure nearest to what it may be, or furthest beyond it."""
        return max(self.figures.items(), key=lambda item: item[1].share, default=None)

    @property
    def says(self) -> str:
        """Why it parts, or its worst figure, in words."""
        if self.fault or self.worst is None:
            return self.fault
        run, figure = self.worst
        return f"residual {figure.residual:.2g} in {run}, allowed {figure.allowed:.2g}"


@dataclass(frozen=True)
class Proof:
    """A converted model held against Keras.

    Attributes:
        lines: What was compared, rung by rung, layers in the order of execution.
        attempts: The Kerases that were tried.
        keras: That which the file was run in: "tf_keras 2.21.0"; "" where none was.
        why_not: Why nothing was proven and what to do, in one line; None where something was compared.
        notes: What was not compared, a sentence each.
        versions: Of Keras's side and of ours.
    """

    lines: tuple[Line, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    keras: str = ""
    why_not: str | None = None
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether everything was compared, and holds."""
        return self.why_not is None and bool(self.lines) and all(line.holds for line in self.lines)

    @property
    def first(self) -> Line | None:
        """The first that parts: what comes after it may be its consequence."""
        return next((line for line in self.lines if not line.holds), None)

    def of(self, rung: str) -> list[Line]:
        """A rung's lines."""
        return [line for line in self.lines if line.rung == rung]

    def worst(self, rung: str, run: str = "") -> Line | None:
        """The line of a rung with the largest residual for what it may be.

        Args:
            rung: One of RUNGS.
            run: Only figures whose name begins so, such as "float64".
        """
        share = {
            line.name: max(
                (f.share for name, f in line.figures.items() if name.startswith(run)), default=-1.0
            )
            for line in self.of(rung)
        }
        return max(
            (line for line in self.of(rung) if share[line.name] >= 0),
            key=lambda line: share[line.name],
            default=None,
        )

    def largest(self, rung: str, run: str) -> float | None:
        """The largest residual of a rung in the runs whose names begin so."""
        return max(
            (
                figure.residual
                for line in self.of(rung)
                for name, figure in line.figures.items()
                if name.startswith(run)
            ),
            default=None,
        )

    @property
    def line(self) -> str:
        """The verdict in one line."""
        if self.why_not is not None:
            return f"nothing was proven: {self.why_not}"
        first = self.first
        if first is None:
            return f"equal to {self.keras}: {self._counted()}"
        worst = self.worst(LAYERS)
        line = f'parts from {self.keras} at {first.rung}, "{first.name}" ({first.kind}): {first.says}'
        if worst is not None and worst is not first and not worst.holds:
            line += f'; worst layer "{worst.name}" ({worst.kind}): {worst.says}'
        return line

    def _counted(self) -> str:
        parts = [f"{len(self.of(STRUCTURE))} layers"]
        for rung, what in ((LAYERS, "activations"), (OUTPUTS, "outputs"), (GRADIENTS, "gradients")):
            figures = [(run, self.largest(rung, run)) for run in ("float32", "float64")]
            said = ", ".join(f"{residual:.1g} in {run}" for run, residual in figures if residual is not None)
            if said:
                number = len(self.of(rung))
                parts.append(f"{number} {what if number > 1 else what[:-1]} within {said}")
        return "; ".join(parts)


def shape_text(shape: Sequence[int | None]) -> str:
    """`(N, 32, 32, 16)`; sizes that are not known as N."""
    return f"({', '.join('N' if size is None else str(size) for size in shape)})"
