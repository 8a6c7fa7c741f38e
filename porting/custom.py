"""Functions of the user's own for layers that are code: `--custom LAYER=package.module:function`."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parity_common.command_errors import UserError, did_you_mean
from porting.rules.piece import Carry, Make, Name, Piece, Refused, Site, Step, known

_SPEC = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<module>[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)", re.ASCII)


@dataclass(frozen=True)
class Custom:
    """A function that stands for a layer.

    Attributes:
        name: The layer's or its class's.
        module: Where the function is.
        function: Its name. It takes and gives tensors as torch has them, images `(N, C, H, W)`; the layer's
            weights come behind them, as Keras has them.
    """

    name: str
    module: str
    function: str

    def load(self) -> Callable[..., Any]:
        """The function.

        Raises:
            UserError: There is none.
        """
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            raise UserError(f"--custom {self.name}: cannot import {self.module}: {error}") from error
        function = getattr(module, self.function, None)
        if not callable(function):
            hint = did_you_mean(self.function, vars(module))
            raise UserError(f"--custom {self.name}: {self.module} has no function {self.function}{hint}")
        return function


@dataclass(frozen=True)
class OwnModule:
    """A module of the user's own that model.py imports.

    Attributes:
        name: As it is imported.
        source: Its file, where a copy of it can stand beside model.py; None of a part of a package.
        where: Where it was found.
    """

    name: str
    source: Path | None
    where: str


# They stand beside it, and would be taken for it.
_TAKEN = ("model", "lightning_module")


def own_modules(customs: Iterable[Custom]) -> list[OwnModule]:
    """The modules of functions that were given.

    Raises:
        UserError: There is none, or it has the name of a file that the converted folder has itself.
    """
    found = {}
    for custom in customs:
        if custom.module in _TAKEN:
            raise UserError(
                f"--custom {custom.name}: the converted folder has a {custom.module}.py of its own: give "
                "your module another name"
            )
        custom.load()
        file = getattr(sys.modules[custom.module], "__file__", None) or ""
        is_alone = "." not in custom.module and file.endswith(f"{custom.module}.py")
        is_installed = any(part in ("site-packages", "dist-packages") for part in Path(file).parts)
        source = Path(file) if is_alone and not is_installed else None
        found[custom.module] = OwnModule(custom.module, source, file)
    return list(found.values())


def parse_custom(words: Iterable[str]) -> dict[str, Custom]:
    """What --custom was given, by layer or class name.

    Raises:
        UserError: A word that is not NAME=package.module:function, or package.module:function.
    """
    found: dict[str, Custom] = {}
    for word in words:
        match = _SPEC.fullmatch(word)
        if match is None:
            raise UserError(f"--custom {word}: expected LAYER=package.module:function")
        name = match["name"] or match["function"]
        if name in found:
            raise UserError(f"--custom {name} is given twice")
        found[name] = Custom(name, match["module"], match["function"])
    return found


def custom_piece(site: Site, custom: Custom, weights: Mapping[str, tuple[int, ...]]) -> Piece:
    """The function in the layer's place; its output's shape is found by calling it on zeros.

    Args:
        site: The layer.
        custom: The function.
        weights: The shapes of the layer's weights by their names, which the function takes behind the inputs.

    Raises:
        Refused: It raises, gives something else than a tensor, or another number of examples.
        UserError: There is no such function.
    """
    examples = 2
    sizes = [
        (examples, *(known(size, "its input's shape") for size in value.torch_shape[1:]))
        for value in site.inputs
    ]
    function = custom.load()
    try:
        with torch.no_grad():
            given = function(*(torch.zeros(size) for size in (*sizes, *weights.values())))
    except Exception as error:
        more = f" (behind its inputs it takes the layer's weights {_listed(weights)})" if weights else ""
        raise Refused(
            f"{custom.module}:{custom.function} raises {type(error).__name__}: {error}{more}"
        ) from error
    if not isinstance(given, Tensor) or given.dim() == 0 or given.shape[0] != examples:
        raise Refused(
            f"{custom.module}:{custom.function} gives no tensor with the {examples} examples it took"
        )
    alike = [value.order for value in site.inputs if len(value.order) == given.dim()]
    order = alike[0] if alike else tuple(range(given.dim()))
    torch_shape = (None, *given.shape[1:])
    shape = tuple(torch_shape[order.index(axis)] for axis in range(given.dim()))
    places = ", ".join(f"{{{place}}}" for place in range(len(site.inputs)))
    attributes = {name: f"weight_{re.sub(r'[^0-9A-Za-z_]', '_', name)}" for name in weights}
    shapes = {attributes[name]: shape for name, shape in weights.items()}
    step = Step(Make("WithWeights", {"function": Name(custom.function)}, shapes))
    return Piece(
        steps=(step,) if weights else (),
        merge=None if weights else f"{custom.function}({places})",
        weights={name: Carry(attribute) for name, attribute in attributes.items()},
        orders=tuple(value.order for value in site.inputs),
        order=order,
        notes=(f"is your own {custom.module}:{custom.function}, of which nothing is known here",),
        shape=shape,
        custom=custom,
    )


def _listed(weights: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in weights.items())
