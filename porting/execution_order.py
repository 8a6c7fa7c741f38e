"""The order in which Keras runs the calls of a Functional model.

Source: keras 3.15 ops/function.py `map_graph` and `_build_map`; tf_keras 2.21 engine/functional.py
`_map_graph_network` and `_build_map`, the same since Keras 2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from porting.graph import Call, TensorRef
from porting.keras_file.problems import KerasFileError, shown

_Key = tuple[str, int]


def in_execution_order(
    calls: Mapping[_Key, Call], outputs: Sequence[TensorRef], input_layers: Sequence[str]
) -> tuple[Call, ...]:
    """The calls that lead to `outputs`, by falling depth, and within a depth as a search from the outputs
    meets them.

    Args:
        calls: By (layer, number): every call that the config lists.
        outputs: The model's.
        input_layers: The layers that are inputs: nothing calls them.

    Raises:
        KerasFileError: A tensor that no call makes, or a circle.
    """
    inputs = set(input_layers)
    parents = {
        key: [(ref.layer, ref.call) for ref in call.inputs if ref.layer not in inputs]
        for key, call in calls.items()
    }
    found = _depth_first(parents, [(ref.layer, ref.call) for ref in outputs if ref.layer not in inputs])
    depths: dict[_Key, int] = {}
    layer_depths: dict[str, int] = {}
    for key in reversed(found):
        # A shared layer's calls all get the depth of its deepest so far.
        depth = max(depths.setdefault(key, 0), layer_depths.get(key[0], 0))
        depths[key] = layer_depths[key[0]] = depth
        for parent in parents[key]:
            depths[parent] = max(depth + 1, depths.get(parent, 0))
    return tuple(calls[key] for key in sorted(depths, key=lambda key: -depths[key]))


def _depth_first(parents: Mapping[_Key, list[_Key]], outputs: Sequence[_Key]) -> list[_Key]:
    """Every call that leads to the outputs, each after those it needs. A loop: recursion would end in a
    chain of a thousand."""
    finished: dict[_Key, None] = {}
    in_progress: set[_Key] = set()
    for output in outputs:
        stack = [(output, False)]
        while stack:
            key, is_left = stack.pop()
            if is_left:
                in_progress.discard(key)
                finished[key] = None
            elif key not in finished:
                if key in in_progress:
                    raise KerasFileError(f'layer "{shown(key[0])}" takes its own output: the file is damaged')
                if key not in parents:
                    raise KerasFileError(
                        f'call {key[1]} of layer "{shown(key[0])}" is used, but not made: the file is damaged'
                    )
                in_progress.add(key)
                stack.append((key, True))
                stack += [(parent, False) for parent in reversed(parents[key])]
    return list(finished)
