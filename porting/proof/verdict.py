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
        is_model: Whether it is a model inside the model.
    """

    rung: str
    name: str
    kind: str
    shape: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    fault: str = ""
    is_model: bool = False

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
        augmenting: The layers that augment while Keras trains, which the port does not do.
    """

    lines: tuple[Line, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    keras: str = ""
    why_not: str | None = None
    notes: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    augmenting: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether everything was compared, and holds."""
        return self.why_not is None and bool(self.lines) and all(line.holds for line in self.lines)

    @property
    def was_given_weights(self) -> bool:
        """Whether Keras could not read the file's weights itself: then that rung compares nothing."""
        return any(attempt.unread for attempt in self.attempts)

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

    @property
    def layers(self) -> int:
        """How many layers Keras has, those of models inside among them."""
        return sum(not line.is_model for line in self.of(STRUCTURE))

    def compared(self, rung: str, run: str) -> list[Figure]:
        """The figures of a rung in the runs whose names begin so."""
        return [
            figure for line in self.of(rung) for name, figure in line.figures.items() if name.startswith(run)
        ]

    def largest(self, rung: str, run: str) -> float | None:
        """The largest residual of `compared` that tells anything; None where there is none."""
        return max((figure.residual for figure in self.compared(rung, run) if figure.tells), default=None)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        if self.why_not is not None:
            return f"nothing was proven: {self.why_not}"
        first = self.first
        if first is None:
            given = ", which was given the weights as they were read here" if self.was_given_weights else ""
            return f"equal to {self.keras} in inference{given}: {self._counted()}{self._without()}"
        worst = self.worst(LAYERS)
        line = f'parts from {self.keras} at {first.rung}, "{first.name}" ({first.kind}): {first.says}'
        if worst is not None and worst is not first and not worst.holds:
            line += f'; worst layer "{worst.name}" ({worst.kind}): {worst.says}'
        return line

    def _counted(self) -> str:
        parts = [f"{self.layers} layer{'s' * (self.layers != 1)}"]
        for rung, what in ((LAYERS, "activations"), (OUTPUTS, "outputs"), (GRADIENTS, "gradients")):
            runs = [run for run in ("float32", "float64") if self.compared(rung, run)]
            figures = [(run, self.largest(rung, run)) for run in runs]
            told = [f"{residual:.1g} in {run}" for run, residual in figures if residual is not None]
            said = [f"within {', '.join(told)}"] if told else []
            said += [f"hidden by round-off in {run}" for run, residual in figures if residual is None]
            if said:
                number = len(self.of(rung))
                parts.append(f"{number} {what if number > 1 else what[:-1]} {', '.join(said)}")
        return "; ".join(parts)

    def _without(self) -> str:
        if not self.augmenting:
            return ""
        named = ", ".join(f'"{name}"' for name in self.augmenting)
        return f"; in training Keras augments in {named}, and the port does not"


def shape_text(shape: Sequence[int | None]) -> str:
    """`(N, 32, 32, 16)`; sizes that are not known as N."""
    return f"({', '.join('N' if size is None else str(size) for size in shape)})"
