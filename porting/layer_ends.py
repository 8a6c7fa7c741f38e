"""Where each Keras layer ends in the forward of a converted model, and what is there when it runs.

A layer ends behind a module, `nn.ReLU` of a convolution's activation, or behind a call in forward,
`F.relu(self.conv(x))`, which no hook sees. So a place in forward is counted: the run of a module, and the
calls of torch that forward itself makes from there on, until the next module of a layer runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle


@dataclass(frozen=True)
class End:
    """A place in forward.

    Attributes:
        behind: A module of a layer; "": the model's start.
        run: Which of its runs, from 1.
        calls: How many calls of torch lie between that run and the place.
        of: How many lie between that run and that of the next module.
    """

    behind: str
    run: int
    calls: int
    of: int


@dataclass(frozen=True)
class Layer:
    """A Keras layer in a converted model.

    Attributes:
        modules: Those that it consists of: of a convolution with an activation two, or one and a call.
        ends: Where it ends, once for each time that it runs; () where it gives the model's input on.
        axes: Axis i of what it gives here is Keras's axis axes[i].
    """

    modules: tuple[str, ...]
    ends: tuple[End, ...]
    axes: tuple[int, ...]


class TorchCalls(TorchFunctionMode):
    """Tells of every call of torch that gives a tensor, those inside of it apart.

    Args:
        saw: Told of the tensor.
    """

    def __init__(self, saw: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._saw = saw

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: Iterable[Any] = (), kwargs: Any = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        if isinstance(given, Tensor):
            self._saw(given)
        return given


class LayerEnds:
    """Tells what every layer gives while the model runs: a context around the run.

    An edit may make another number of calls between two modules, `x * torch.sigmoid(x)` for `F.silu(x)`. Then
    it is known only what the last layer there gives, counted from the next module backwards.

    Args:
        net: The model.
        layers: By Keras's names.
        ended: Told of each layer, in the order in which they end, and of what it gives.

    Attributes:
        at: The layer whose module ran last, or runs.
        unseen: Layers of which nothing is known.
    """

    def __init__(
        self, net: nn.Module, layers: Mapping[str, Layer], ended: Callable[[str, Any], None]
    ) -> None:
        self.at = ""
        self.unseen = {name for name, layer in layers.items() if not layer.ends}
        self._ended = ended
        self._modules = {path: name for name, layer in layers.items() for path in layer.modules}
        self._net = net
        self._places: dict[tuple[str, int], list[tuple[End, str]]] = defaultdict(list)
        for name, layer in layers.items():
            for end in layer.ends:
                self._places[end.behind, end.run].append((end, name))
        self._runs: Counter[str] = Counter()
        self._depth = 0
        self._behind = ("", 1)
        # What the module gave, and every call since.
        self._given: list[Any] = [None]
        self._handles: list[RemovableHandle] = []
        self._calls = TorchCalls(self._called)

    def __enter__(self) -> LayerEnds:
        for path, module in self._net.named_modules():
            if path in self._modules:
                self._handles.append(module.register_forward_pre_hook(self._enter(path)))
                self._handles.append(module.register_forward_hook(self._leave(path)))
        self._calls.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._calls.__exit__(kind, error, traceback)
        for handle in self._handles:
            handle.remove()
        if error is None:
            self._tell()

    def _enter(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: Any) -> None:
            if not self._depth:
                self._depth += 1
                self._tell()
                self.at = self._modules[path]
            else:
                self._depth += 1

        return hook

    def _leave(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            if self._depth == 1:
                self._runs[path] += 1
                self._behind = (path, self._runs[path])
                self._given = [_copy(output)] if self._behind in self._places else []
            self._depth -= 1

        return hook

    def _called(self, given: Tensor) -> None:
        # What a module computes inside is its own affair.
        if not self._depth and self._behind in self._places:
            self._depth += 1
            self._given.append(_copy(given))
            self._depth -= 1

    def _tell(self) -> None:
        """Tells of the layers that ended between the last module and this place."""
        here = sorted(self._places.get(self._behind, ()), key=lambda each: each[0].calls)
        calls = len(self._given) - 1
        for end, name in here:
            place = end.calls
            if calls != end.of and place:
                is_last = place == here[-1][0].calls
                place = max(calls - (end.of - end.calls), 0) if is_last else -1
            if place < 0:
                self.unseen.add(name)
            else:
                self._ended(name, self._given[place])


def _copy(given: Any) -> Any:
    """Of a tensor: what runs later may work in place on the same memory."""
    return given.detach().clone() if isinstance(given, Tensor) else given
