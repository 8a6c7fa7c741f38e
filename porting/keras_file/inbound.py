"""What a layer was called on, from a Functional model's config.

Keras 1 and 2 list a call as [[layer, node, tensor, keywords], ...], nested as the first argument was
(tf_keras 2.21 engine/node.py `Node.serialize`). Keras 3 writes {"args", "kwargs"}, in which a tensor is
{"class_name": "__keras_tensor__", "config": {"keras_history": [layer, node, tensor]}} (keras 3.15
models/functional.py `serialize_node`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from porting.graph import Call, TensorRef, tensors_in
from porting.keras_file.problems import KerasFileError, mapping, sequence, shown, text, whole_number

_CONSTANT = "_CONSTANT_VALUE"


def is_keras3_node(node: Any) -> bool:
    """Whether a call is in Keras 3's form."""
    return isinstance(node, dict) and "args" in node


def call_of(layer: str, number: int, node: Any, layers: Mapping[str, object]) -> Call:
    """One call, node numbers as the config has them.

    Args:
        layer: The layer that is called.
        number: Which of its calls.
        node: An item of its "inbound_nodes".
        layers: The model's, by name.

    Raises:
        KerasFileError: The form is neither generation's, or it names a layer that there is not.
    """
    where = f'call {number} of layer "{shown(layer)}"'
    if is_keras3_node(node):
        arguments = tuple(_keras3(item, where) for item in sequence(node["args"], where))
        keywords = {key: _keras3(value, where) for key, value in mapping(node.get("kwargs"), where).items()}
    else:
        first, keywords = _legacy(node, layers, where)
        if isinstance(first, list) and len(first) == 1:
            first = first[0]
        arguments = (first,)
    inputs = (*tensors_in(arguments), *tensors_in(keywords))
    if not inputs:
        raise KerasFileError(f"{where} takes no tensor: the file is damaged")
    for ref in inputs:
        if ref.layer not in layers:
            raise KerasFileError(f'{where} takes "{shown(ref.layer)}", which is no layer of the model')
    return Call(layer, number, arguments, keywords, inputs)


def ends(value: Any, where: str) -> tuple[TensorRef, ...]:
    """A model's "input_layers" or "output_layers": one tensor, or tensors in lists or a dict."""
    if _is_reference(value):
        return (_reference(value, where),)
    if isinstance(value, dict):
        return tuple(ref for key in sorted(value) for ref in ends(value[key], where))
    return tuple(ref for item in sequence(value, where) for ref in ends(item, where))


def _is_reference(value: Any) -> bool:
    return isinstance(value, list) and 3 <= len(value) <= 4 and isinstance(value[0], str)


def _reference(value: Any, where: str) -> TensorRef:
    items = sequence(value, where)
    if len(items) < 3:
        raise KerasFileError(f"{where} names a tensor by {len(items)} items, not three: the file is damaged")
    return TensorRef(text(items[0], where), whole_number(items[1], where), whole_number(items[2], where))


def _legacy(node: Any, layers: Mapping[str, object], where: str) -> tuple[Any, dict[str, Any]]:
    """The first argument, and the keywords, which Keras repeats at each of its tensors."""
    keywords: dict[str, Any] = {}

    def first_argument(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: first_argument(value) for key, value in part.items()}
        if not _is_reference(part):
            return [first_argument(item) for item in sequence(part, where)]
        if len(part) == 4:
            for key, value in mapping(part[3], where).items():
                keywords[key] = _legacy_keyword(value, layers)
        return part[2] if part[0] == _CONSTANT else _reference(part, where)

    return first_argument(node), keywords


def _legacy_keyword(value: Any, layers: Mapping[str, object]) -> Any:
    if isinstance(value, dict):
        return {key: _legacy_keyword(item, layers) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    # A tensor looks like any list of a string and two numbers: the layer's name tells.
    if _is_reference(value) and value[0] in layers and all(type(number) is int for number in value[1:3]):
        return TensorRef(*value[:3])
    return [_legacy_keyword(item, layers) for item in value]


def _keras3(value: Any, where: str) -> Any:
    if isinstance(value, list):
        return [_keras3(item, where) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        return _reference(mapping(value.get("config"), where).get("keras_history"), where)
    return {key: _keras3(item, where) for key, item in value.items()}
