"""Expressions of a forward that are written into one another: they mean what they meant line by line."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from porting.emit.brackets import filled
from porting.emit.forward import Line, forward_lines

# Every shape of what the rules write: methods, operators on both sides, functions, indices.
OF_ONE = (
    *("{}.abs()", "{0}.div(2)", "{0}.neg().add(1)", "{0}.square()", "{0}.clamp(-0.5, 0.5)", "{0}.pow(2)"),
    *(
        "{0}[:, :2]",
        "{}.permute(0, 1)",
        "torch.tanh({})",
        "F.relu({})",
        "-{0}",
        "{0} / 3",
        "1 - {0}",
        "2 / {0}",
    ),
    *("{0} ** 2", "2 ** {0}", "{0} > 0.1", "F.normalize({0}, dim=1, eps=1e-07)", "({0} + {0}) * {0}"),
)
OF_TWO = (
    *("{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / {1}", "({0} + {1}) / 2", "{0} + {1} + {0}"),
    *("torch.maximum({0}, {1})", "torch.cat([{0}, {1}], dim=1)[:, 1:4]", "{0} < {1}", "{0}.pow({1})"),
)
NAMES = {"torch": torch, "F": F}


def run(lines: list[Line], inputs: list[Tensor]) -> Tensor:
    """What lines give, each for itself."""
    tensors = list(inputs)
    for line in lines:
        names = {f"t{place}": tensors[number] for place, number in enumerate(line.inputs)}
        tensors.append(eval(line.function.format(*names), dict(NAMES), names))
    return tensors[-1]


def emitted(lines: list[Line], inputs: list[Tensor]) -> Tensor:
    """What the source gives that is written of them."""
    text, (result,) = forward_lines(lines, {0: "x", 1: "y"}, lines[-1].outputs)
    names = {**NAMES, "x": inputs[0], "y": inputs[1]}
    exec("\n".join(text), names)
    return names[result]


def draw_lines(draw: random.Random) -> list[Line]:
    """A random tree, most of it on what the line before it gives."""
    lines: list[Line] = []
    for number in range(2, draw.randint(4, 9)):
        last = number - 1
        if number == 2 or draw.random() < 0.3:
            function, taken = draw.choice(OF_TWO), (last, draw.randrange(number))
        else:
            function, taken = draw.choice(OF_ONE), (last,)
        lines.append(Line(function, taken, (number,)))
    return lines


@pytest.mark.parametrize("seed", range(20))
def test_random_trees_mean_what_their_lines_mean(seed: int) -> None:
    draw = random.Random(seed)
    inputs = [torch.rand(3, 5, dtype=torch.float64) + 0.2 for _ in range(2)]
    checked = 0
    while checked < 25:
        lines = draw_lines(draw)
        try:
            expected = run(lines, inputs)
        except (RuntimeError, TypeError):
            # Shapes that do not go together, or arithmetic on truth values.
            continue
        given = emitted(lines, inputs)
        assert torch.equal(given.nan_to_num(), expected.nan_to_num()), lines
        checked += 1


@pytest.mark.parametrize(
    ("function", "taken", "written"),
    [
        ("{0}.div(2)", ("x + y",), "(x + y).div(2)"),
        ("{0} + {1}", ("x + y", "z"), "x + y + z"),
        ("{0} + {1}", ("x", "y + z"), "x + (y + z)"),
        ("{0} - {1}", ("x", "y * z"), "x - y * z"),
        ("{0}[:, 1:]", ("-x",), "(-x)[:, 1:]"),
        ("{0}.mul(2)", ("3",), "(3).mul(2)"),
        ("F.relu({})", ("x + y",), "F.relu(x + y)"),
        ("torch.maximum({0}, {1})", ("x - y", "z / y"), "torch.maximum(x - y, z / y)"),
    ],
)
def test_brackets_stand_where_they_are_needed_alone(
    function: str, taken: tuple[str, ...], written: str
) -> None:
    assert filled(function, taken) == written
