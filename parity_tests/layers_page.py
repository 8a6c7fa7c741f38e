"""docs/layers.md: the layers that have a rule, what of them is proven, and what is refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from parity_tests.rule_cases.case import Case
from parity_tests.rule_cases.refusals import Refusal
from porting.program import Program

HEAD = """\
# Layers that are carried over

Written by `pytest parity_tests/test_rules.py -m full --write-pages` from the rules (`porting/rules`)
and their cases (`parity_tests/rule_cases`): do not edit it by hand.

Each case is a model that Keras builds, gives drawn weights and saves, as `.h5`, `.keras` or both. The file is
read and carried over without Keras; its output and the gradients of every weight and input are then compared
with Keras's own: in float64 to {float64:g} of the largest element ({rounded:g} where Keras itself rounds a
constant to float32), in float32 to {float32:g}. "2" is tf_keras, for TF 2.x, "3" is Keras 3. An argument that
is not listed has its default in the cases. D-numbers are of [differences.md](differences.md).

A layer that is not in these tables, or whose config says what a rule does not know, is refused by name; a
function of yours can stand for it (`--custom`).
"""
_TITLES = {
    "activation": "Activations and Dense",
    "attention": "Attention",
    "embedding": "Embedding",
    "convolution": "Convolutions",
    "image": "Images, augmentation, dropout and noise",
    "merge": "Several tensors",
    "normalization": "Normalization",
    "operation": "Functions of tensors",
    "pooling": "Pooling",
    "recurrent": "Recurrent layers",
    "shape": "Shapes, padding, upsampling, transposed convolutions",
    "wrapper": "Layers around layers",
}
_GENERATIONS = {"tf2.4": "2", "keras3": "3"}


@dataclass
class Row:
    """What is known of a layer.

    Attributes:
        family: Of its cases.
        arguments: Varied in the cases.
        generations: In which it is proven.
        cases: The names of its cases.
        callees: What it becomes.
        differences: Numbers of docs/differences.md.
    """

    family: str
    arguments: set[str] = field(default_factory=set)
    generations: set[str] = field(default_factory=set)
    cases: set[str] = field(default_factory=set)
    callees: set[str] = field(default_factory=set)
    differences: set[str] = field(default_factory=set)


@dataclass
class Facts:
    """Every layer's."""

    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, family: str, case: Case, profile: str, program: Program) -> None:
        """Takes up what a case's program has in it."""
        for statement in program.walk():
            piece = statement.piece
            if piece is None:
                continue
            name = statement.layer.class_name
            is_proven = name == case.layer or case.layer == "operation"
            if name not in self.rows and not is_proven and family != "operation":
                continue
            row = self.rows.setdefault(name, Row(family))
            row.generations.add(_GENERATIONS[profile])
            row.differences.update(piece.differences)
            row.callees.update(f"`{step.make.callee}`" for step in piece.steps)
            row.callees.update(["an expression"] if piece.merge else [] if piece.steps else ["nothing"])
            if name == case.layer or family == "operation":
                row.cases.add(case.name)
            if name == case.layer:
                row.arguments.update(case.arguments)
            if name == "TFOpLambda" or name == "SlicingOpLambda":
                row.arguments.add(str(statement.layer.config["function"]))


def page(facts: Facts, refusals: Iterable[Refusal], tolerances: Mapping[str, float]) -> str:
    """The page.

    Args:
        facts: Of the cases.
        refusals: What is refused.
        tolerances: Of "float64", "float32" and "rounded".
    """
    text = HEAD.format(**tolerances)
    by_family: dict[str, list[str]] = defaultdict(list)
    for name, row in sorted(facts.rows.items()):
        by_family[row.family].append(_line(name, row))
    for family, lines in sorted(by_family.items()):
        text += f"\n## {_TITLES.get(family, family.capitalize())}\n\n"
        text += "| layer | Keras | cases | arguments varied | becomes | differences |\n"
        text += "|---|---|---|---|---|---|\n"
        text += "".join(lines)
    text += "\n## Refused\n\n| layer | of it | the message |\n|---|---|---|\n"
    for refusal in refusals:
        said = ", ".join(f"{key}={value!r}" for key, value in {**refusal.config, **refusal.call}.items())
        shapes = " and ".join(str(shape).replace("None", "?") for shape in refusal.shapes)
        text += f"| {refusal.layer} | {f'`{said}` on ' if said else ''}`{shapes}` | … {refusal.says} … |\n"
    return text


def _line(name: str, row: Row) -> str:
    arguments = ", ".join(f"`{argument}`" for argument in sorted(row.arguments))
    callees = ", ".join(sorted(row.callees))
    return (
        f"| {name} | {', '.join(sorted(row.generations))} | {len(row.cases)} | {arguments} "
        f"| {callees} | {', '.join(sorted(row.differences))} |\n"
    )
