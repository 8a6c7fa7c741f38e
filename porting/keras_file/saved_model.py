"""A SavedModel folder that Keras wrote: the config from keras_metadata.pb, the weights from the checkpoint.

keras_metadata.pb is a SavedMetadata (tf_keras protobuf/saved_metadata.proto): each object with its path and
a JSON text, the model's first. TF 2.0 to 2.4 wrote that text into saved_model.pb, beside the object. The
checkpoint's object graph (tensorflow core/protobuf/trackable_object_graph.proto) leads from the model over
"layer-3" and "kernel" to the key of an array.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from porting.graph import Graph, Layer, LayerPath
from porting.keras_file.checkpoint import OBJECT_GRAPH, read_checkpoint
from porting.keras_file.json_text import MAXIMUM_BYTES
from porting.keras_file.layer_list_layout import Weights
from porting.keras_file.model_config import INPUT_LAYER
from porting.keras_file.optimizer_state import OptimizerState, WeightKey
from porting.keras_file.problems import KerasFileError, shown
from porting.keras_file.protobuf import Message
from porting.keras_file.stored import StoredArray
from porting.keras_file.weight_plan import OTHER_NAMES, is_random_state, weights_of

METADATA, GRAPH = "keras_metadata.pb", "saved_model.pb"
_ROOT = "root"
# What an optimizer of TF 2.10 and earlier holds once; Nadam has a second.
_SCALARS = {"iter": "iteration", "momentum_cache": "momentum_cache"}
# saved_model.pb holds the graphs of every function, too.
_MAXIMUM_BYTES = {METADATA: MAXIMUM_BYTES, GRAPH: 2**30}
_TABLES = ("/.ATTRIBUTES/table-keys", "/.ATTRIBUTES/table-values")
_NOT_THE_MODELS = {"optimizer", ".OPTIMIZER_SLOT", "keras_api", "save_counter"}


def model_text(folder: Path, described_in: str = METADATA) -> bytes:
    """The JSON text that describes the model; empty where saved_model.pb holds none.

    Args:
        folder: Of the SavedModel.
        described_in: METADATA, or GRAPH of TF 2.0 to 2.4.

    Raises:
        KerasFileError: METADATA describes none, or the file is damaged.
    """
    path = folder / described_in
    try:
        if path.stat().st_size > _MAXIMUM_BYTES[described_in]:
            raise KerasFileError(f"{described_in} is larger than any model's: it is not read")
        message = Message(path.read_bytes())
    except OSError as error:
        raise KerasFileError(
            f"{described_in} cannot be read ({error.strerror}): copy the whole folder"
        ) from error
    if described_in == GRAPH:
        return _text_of_root(message)
    for node in message.messages(1):
        if node.text(3) == _ROOT:
            return node.data(5)
    raise KerasFileError(f"{METADATA} describes no model: save the model again as .keras or .h5")


def _text_of_root(saved_model: Message) -> bytes:
    """What the first object of a SavedModel says of itself, where it is a Keras model.

    Source: tensorflow core/protobuf/saved_model.proto, meta_graph.proto, saved_object_graph.proto.
    """
    for meta_graph in saved_model.messages(2)[:1]:
        for objects in meta_graph.messages(7)[:1]:
            for root in objects.messages(1)[:1]:
                for user_object in root.messages(4)[:1]:
                    if user_object.text(1).startswith("_tf_keras_"):
                        return user_object.data(3)
    return b""


@dataclass(frozen=True)
class _Node:
    """An object of the graph: its children by name, its array's key, and (weight, slot, variable) by node."""

    children: dict[str, int]
    key: str | None
    slots: tuple[tuple[int, str, int], ...]


class Checkpoint:
    """The checkpoint of a SavedModel folder.

    Args:
        folder: Of the SavedModel.
        graph: The model's.

    Attributes:
        weights: The arrays by layer and name.

    Raises:
        KerasFileError: A file is missing or damaged, the objects are not the model's layers, a layer lacks
            an array, or an array belongs to no layer.
    """

    def __init__(self, folder: Path, graph: Graph) -> None:
        self._arrays, encoded = read_checkpoint(folder / "variables" / "variables")
        self._nodes = _nodes(encoded)
        self._weight_nodes: dict[int, WeightKey] = {}
        self.weights: Weights = {}
        self._take(graph, self._nodes[0], ())
        used = {self._nodes[node].key for node in self._weight_nodes}
        for key in self._arrays:
            parts = set(key.split("/"))
            # A table of words is no weight; the layer that looks them up has no rule.
            if key.endswith(_TABLES):
                continue
            if key not in used and not parts & _NOT_THE_MODELS and not is_random_state(parts):
                raise KerasFileError(f"the numbers of {shown(key)} belong to no layer of the model")

    def optimizer_variables(self) -> list[StoredArray]:
        """The variables of an optimizer of TF 2.11 and later, which numbers them; of others none."""
        optimizer = self._optimizer()
        listed = optimizer.children.get("_variables") if optimizer is not None else None
        if listed is None:
            return []
        numbered = [(name, child) for name, child in self._nodes[listed].children.items() if name.isdecimal()]
        arrays = [self._array(child) for _, child in sorted(numbered, key=lambda each: int(each[0][:9]))]
        return [array for array in arrays if array is not None]

    def optimizer_state(self) -> OptimizerState | None:
        """The variables of an optimizer of TF 2.10 and earlier, which names them; None without one."""
        optimizer = self._optimizer()
        if optimizer is None:
            return None
        slots: dict[str, dict[WeightKey, StoredArray]] = {}
        for weight, slot, variable in optimizer.slots:
            array = self._array(variable)
            if array is not None and weight in self._weight_nodes:
                slots.setdefault(slot, {})[self._weight_nodes[weight]] = array
        scalars = {}
        for name, scalar in _SCALARS.items():
            if name in optimizer.children and (array := self._array(optimizer.children[name])):
                scalars[scalar] = array
        return OptimizerState(scalars, slots)

    def _optimizer(self) -> _Node | None:
        number = self._nodes[0].children.get("optimizer")
        if number is None:
            return None
        # Inside that of mixed_float16 stands the optimizer itself.
        children = self._nodes[number].children
        number = children.get("inner_optimizer", children.get("_optimizer", number))
        return self._nodes[number]

    def _take(self, graph: Graph, node: _Node, path: LayerPath) -> None:
        # A Sequential's own list of layers leaves the InputLayer out.
        skipped = INPUT_LAYER if graph.class_name == "Sequential" else ""
        for number, layer in enumerate(layer for layer in graph.layers if layer.class_name != skipped):
            here = (*path, layer.name)
            child = node.children.get(f"layer-{number}")
            if child is None:
                raise KerasFileError(f'its checkpoint has no layer "{shown("/".join(here))}": save it again')
            if layer.graph is not None:
                self._take(layer.graph, self._nodes[child], here)
            else:
                self._take_layer(layer, self._nodes[child], here)

    def _take_layer(self, layer: Layer, node: _Node, path: LayerPath) -> None:
        weights = weights_of(layer)
        if weights is None:
            wanted = dict(node.children)
        else:
            wanted = {}
            for weight in weights:
                child = self._find(node, layer.class_name, [*weight.part.split("/"), weight.short_name])
                if child is None or self._array(child) is None:
                    raise KerasFileError(
                        f'layer "{shown("/".join(path))}" has a {weight.name} by its config, and none in the '
                        "checkpoint"
                    )
                wanted[weight.name] = child
        for name, child in wanted.items():
            array = self._array(child)
            if array is not None and child not in self._weight_nodes:
                self.weights.setdefault(path, {})[name] = array
                self._weight_nodes[child] = (path, name)

    def _find(self, node: _Node, class_name: str, names: list[str]) -> int | None:
        number = None
        for name in filter(None, names):
            old = next(
                (old for (of, old), new in OTHER_NAMES.items() if (of, new) == (class_name, name)), name
            )
            children = [node.children[each] for each in (name, f"_{name}", old) if each in node.children]
            if not children:
                return None
            number = children[0]
            node = self._nodes[number]
        return number

    def _array(self, number: int) -> StoredArray | None:
        return self._arrays.get(self._nodes[number].key or "")


def _nodes(encoded: bytes) -> list[_Node]:
    """The object graph, every number in it one of a node."""
    nodes = []
    for message in Message(encoded).messages(1):
        children = {child.text(2): child.number(1) for child in message.messages(1)}
        keys = [
            attribute.text(3) for attribute in message.messages(2) if attribute.text(1) == "VARIABLE_VALUE"
        ]
        slots = tuple((slot.number(1), slot.text(2), slot.number(3)) for slot in message.messages(3))
        nodes.append(_Node(children, keys[0] if keys else None, slots))
    numbers = [number for node in nodes for number in node.children.values()]
    numbers += [
        number for node in nodes for weight, _, variable in node.slots for number in (weight, variable)
    ]
    if not nodes or max(numbers, default=0) >= len(nodes):
        raise KerasFileError(f"the checkpoint's {OBJECT_GRAPH} is damaged: save the model again")
    return nodes
