"""The source of a torch class, from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from porting.emit.names import plain_text


@dataclass(frozen=True)
class Module:
    """A line of the constructor.

    Attributes:
        name: The attribute.
        made: The expression that makes the module.
        remark: Put behind it as a comment, if any.
    """

    name: str
    made: str
    remark: str = ""


@dataclass(frozen=True)
class ClassSource:
    """The parts of a class.

    Attributes:
        name: The class's.
        docstring: What it is.
        modules: In the order of execution.
        parameters: Of the constructor, with their types.
        inputs: The names of forward's arguments.
        lines: Of forward; None: each module takes what the one before it gives, an nn.Sequential.
        result: What forward returns.
        result_type: Its type.
        methods: Source of further methods.
        ends: Lines that end the constructor.
    """

    name: str
    docstring: str
    modules: Sequence[Module]
    parameters: Sequence[tuple[str, str]] = ()
    inputs: Sequence[str] = ("x",)
    lines: Sequence[str] | None = None
    result: str = ""
    result_type: str = "Tensor"
    methods: Sequence[str] = ()
    ends: Sequence[str] = ()

    def text(self) -> str:
        """The source, not yet formatted."""
        base = "nn.Sequential" if self.lines is None else "nn.Module"
        signature = "".join(f", {name}: {kind}" for name, kind in self.parameters)
        lines = [f"class {self.name}({base}):", f'    """{plain_text(self.docstring)}"""', ""]
        if self.modules or self.lines is None:
            lines += [f"    def __init__(self{signature}) -> None:"]
            lines += self._sequence() if self.lines is None else self._attributes()
            lines += [f"        {line}" for line in self.ends]
        if self.lines is not None:
            arguments = ", ".join(f"{name}: Tensor" for name in self.inputs)
            lines += ["", f"    def forward(self, {arguments}) -> {self.result_type}:"]
            lines += [f"        {line}" for line in self.lines]
            lines += [f"        return {self.result}"]
        for method in self.methods:
            lines += ["", *(f"    {line}" if line else "" for line in method.splitlines())]
        return "\n".join(lines) + "\n"

    def _attributes(self) -> list[str]:
        made = [f"self.{module.name} = {module.made}{_comment(module.remark)}" for module in self.modules]
        return [f"        {line}" for line in ("super().__init__()", *made)]

    def _sequence(self) -> list[str]:
        made = [f"{module.name}={module.made},{_comment(module.remark)}" for module in self.modules]
        lines = ["super().__init__(", "    OrderedDict(", *(f"        {line}" for line in made), "    )", ")"]
        return [f"        {line}" for line in lines]


def _comment(remark: str) -> str:
    return f"  # {remark}" if remark else ""
