"""From a model's config to its graph: Sequential and Functional, of every Keras generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from porting.execution_order import in_execution_order
from porting.graph import Call, Graph, Layer, TensorRef, tensors_in
from porting.keras_file import inbound
from porting.keras_file.keras1 import modernised
from porting.keras_file.problems import KerasFileError, layer_name, mapping, sequence, shown, text

INPUT_LAYER = "InputLayer"
# NASNetLarge has about 1,000.
_MAXIMUM_LAYERS = 20_000
# Of tf_keras's own applications (inception_resnet_v2.py), and registered as an author's own would be.
_KERAS_OWN = {("Custom", "CustomScaleLayer")}
_KERAS_PACKAGES = ("keras", "tf_keras", "tensorflow", "builtins")
OPERATION = "ops."
"""Before the class of an operation, such as `ops.Add`: `Add` is a layer."""
_OPERATIONS = ("keras.src.ops.", "keras.ops.")


def graph_of(model: Mapping[str, Any], keras_version: str) -> Graph:
    """The graph of a model.

    Args:
        model: {"class_name", "config"}, as a file or `to_json()` has it.
        keras_version: That wrote it; Keras 1's names are translated.

    Raises:
        KerasFileError: A subclassed model, whose code no file holds, or a damaged config.
    """
    class_name, _ = _class_of(model, "the model")
    config = model.get("config")
    graph = _graph(class_name, config, "the model", keras_version)
    if graph is None:
        raise KerasFileError(
            f"the model is a {shown(class_name)}, whose layers stand in its author's code and not in the "
            "file: build it as a Sequential or Functional model and save it again"
        )
    return graph


def _graph(class_name: str, config: Any, where: str, keras_version: str) -> Graph | None:
    """The graph in a config; None where the config is a plain layer's."""
    if class_name == "Sequential":
        # Up to Keras 2.2 a Sequential's config is the list of its layers.
        stated = {"name": "sequential", "layers": config} if isinstance(config, list) else config
        return _sequential(mapping(stated, f"the config of {where}"), where, keras_version)
    if isinstance(config, dict) and "layers" in config and "input_layers" in config:
        return _functional(class_name, config, where, keras_version)
    return None


def _sequential(config: Mapping[str, Any], where: str, keras_version: str) -> Graph:
    stated = _layers(config, where)
    layers = [_layer(item, where, keras_version) for item in stated]
    name = layer_name(config.get("name", "sequential"), f"the name of {where}")
    if not layers:
        raise KerasFileError(f"{where} has no layers: there is nothing to convert")
    if layers[0].class_name != INPUT_LAYER:
        layers.insert(0, _unstated_input(layers[0], config))
    _check_names(layers, where)
    calls, tensor = [], TensorRef(layers[0].name)
    for layer in layers[1:]:
        if layer.class_name == INPUT_LAYER:
            raise KerasFileError(f'"{layer.name}" is an InputLayer in the middle of {where}: it is damaged')
        calls.append(Call(layer.name, 0, (tensor,), {}, (tensor,)))
        tensor = TensorRef(layer.name)
    return Graph(name, "Sequential", tuple(layers), tuple(calls), (TensorRef(layers[0].name),), (tensor,))


def _layers(config: Mapping[str, Any], where: str) -> list[Any]:
    stated = sequence(config.get("layers"), f"the layers of {where}")
    if len(stated) > _MAXIMUM_LAYERS:
        raise KerasFileError(f"{where} has {len(stated)} layers, more than any model: it is not read")
    return stated


def _unstated_input(first: Layer, config: Mapping[str, Any]) -> Layer:
    """The InputLayer of a Sequential that lists none: its shape stands in the first layer, or nowhere."""
    shapes: list[Any] = [first.config.get("batch_input_shape"), config.get("build_input_shape")]
    if first.build_shape is not None:
        shapes.append(list(first.build_shape))
    if first.graph is not None:
        shapes.append(first.graph.layer(first.graph.inputs[0].layer).config.get("batch_shape"))
    shape = next((shape for shape in shapes if isinstance(shape, list)), None)
    name = f"{first.name}_input"
    return Layer(name, INPUT_LAYER, None, {"name": name, "batch_shape": shape}, stated=False)


def _functional(class_name: str, config: Mapping[str, Any], where: str, keras_version: str) -> Graph:
    stated = _layers(config, where)
    listed = [_layer(item, where, keras_version) for item in stated]
    _check_names(listed, where)
    layers = {layer.name: layer for layer in listed}
    calls = {}
    is_keras3 = False
    for item, layer in zip(stated, listed, strict=True):
        nodes = sequence(item.get("inbound_nodes"), f'the calls of layer "{layer.name}"')
        is_keras3 = is_keras3 or any(inbound.is_keras3_node(node) for node in nodes)
        for number, node in enumerate(nodes):
            calls[layer.name, number] = inbound.call_of(layer.name, number, node, layers)
    inputs = inbound.ends(config["input_layers"], f"the inputs of {where}")
    outputs = inbound.ends(config.get("output_layers"), f"the outputs of {where}")
    for ref in (*inputs, *outputs):
        if ref.layer not in layers:
            raise KerasFileError(f'{where} ends at "{shown(ref.layer)}", which is no layer of it')
    if not outputs or not inputs:
        raise KerasFileError(f"{where} has no {'inputs' if outputs else 'outputs'}: the file is damaged")
    at_calls, at_ends = _first_nodes(layers, calls, (*inputs, *outputs), is_keras3)
    calls = {key: _renumbered(call, at_calls) for key, call in calls.items()}
    inputs, outputs = (tuple(_moved(ref, at_ends) for ref in ends) for ends in (inputs, outputs))
    name = layer_name(config.get("name", class_name.lower()), f"the name of {where}")
    ordered = in_execution_order(calls, outputs, [ref.layer for ref in inputs])
    return Graph(name, class_name, tuple(layers.values()), ordered, inputs, outputs)


def _first_nodes(
    layers: Mapping[str, Layer],
    calls: Mapping[tuple[str, int], Call],
    ends: tuple[TensorRef, ...],
    is_keras3: bool,
) -> tuple[dict[str, int], dict[str, int]]:
    """The node number of each inner model's first call: as calls name it, and as the model's ends do.

    An inner model may have node 0 from its own making, so that its first call is node 1. Keras 3 counts so
    for the ends and for Functional models only. Keras 1 and 2 count so everywhere, unless the inner model is
    a Sequential made without an input shape; whether it was is seen from the numbers in use.
    """
    models = {name: layer for name, layer in layers.items() if layer.graph is not None}
    if is_keras3:
        return {}, {
            name: 1
            for name, layer in models.items()
            if layer.graph is not None and layer.graph.class_name != "Sequential"
        }
    used: dict[str, set[int]] = {name: set() for name in models}
    for ref in (*ends, *(ref for call in calls.values() for ref in call.inputs)):
        if ref.layer in used:
            used[ref.layer].add(ref.call)
    first = {name: 0 if 0 in numbers else 1 for name, numbers in used.items()}
    return first, first


def _renumbered(call: Call, first_nodes: Mapping[str, int]) -> Call:
    def renumber(part: Any) -> Any:
        if isinstance(part, TensorRef):
            return _moved(part, first_nodes)
        if isinstance(part, list | tuple):
            return type(part)(renumber(item) for item in part)
        return {key: renumber(item) for key, item in part.items()} if isinstance(part, dict) else part

    arguments, keywords = renumber(call.arguments), renumber(dict(call.keywords))
    inputs = (*tensors_in(arguments), *tensors_in(keywords))
    return Call(call.layer, call.number, arguments, keywords, inputs)


def _moved(ref: TensorRef, first_nodes: Mapping[str, int]) -> TensorRef:
    return replace(ref, call=max(0, ref.call - first_nodes.get(ref.layer, 0)))


def _layer(item: Any, where: str, keras_version: str) -> Layer:
    stated = mapping(item, f"a layer of {where}")
    class_name, package = _class_of(stated, f"a layer of {where}")
    config = stated.get("config")
    inside: Mapping[str, Any] = config if isinstance(config, dict) else {}
    name = layer_name(
        stated.get("name", inside.get("name", class_name)), f"the name of a {shown(class_name)}"
    )
    here = f'layer "{shown(name)}"'
    graph = _graph(class_name, config, here, keras_version)
    if graph is None:
        class_name, inside = modernised(class_name, mapping(config, f"the config of {here}"), keras_version)
    wrapped = inside.get("layer")
    is_wrapper = graph is None and isinstance(wrapped, dict) and "class_name" in wrapped
    return Layer(
        name,
        class_name,
        package,
        inside,
        graph,
        _layer(wrapped, here, keras_version) if is_wrapper else None,
        _build_shape(stated.get("build_config")),
    )


def _class_of(stated: Mapping[str, Any], where: str) -> tuple[str, str | None]:
    """A class's name, and the package it comes from; None for Keras's own."""
    package, _, class_name = text(stated.get("class_name"), f"the class of {where}").rpartition(">")
    module = stated.get("module")
    if isinstance(module, str) and module.split(".")[0] not in _KERAS_PACKAGES:
        package = package or module
    elif _is_operation(stated, module):
        # `x + 1` in Keras 3: an operation, which is no layer and may be called as one.
        class_name = f"{OPERATION}{class_name}"
    registered = stated.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        package = package or registered.rpartition(">")[0]
    if (package, class_name) in _KERAS_OWN:
        return class_name, None
    return class_name, package or None


def _is_operation(stated: Mapping[str, Any], module: Any) -> bool:
    """Whether it is an operation of Keras 3, not a layer."""
    if isinstance(module, str):
        return module.startswith(_OPERATIONS)
    # Keras 3 writes no modules into .h5 files; an operation's config has nothing of what every layer's has.
    config, nodes = stated.get("config"), stated.get("inbound_nodes")
    is_keras3 = isinstance(nodes, list) and any(map(inbound.is_keras3_node, nodes))
    return is_keras3 and isinstance(config, dict) and not {"trainable", "dtype", "layers"} & set(config)


def _build_shape(build_config: Any) -> tuple[int | None, ...] | None:
    shape = build_config.get("input_shape") if isinstance(build_config, dict) else None
    is_shape = isinstance(shape, list) and all(size is None or type(size) is int for size in shape)
    return tuple(shape) if shape is not None and is_shape else None


def _check_names(layers: list[Layer], where: str) -> None:
    names = set()
    for layer in layers:
        if layer.name in names:
            raise KerasFileError(f'two layers of {where} are called "{layer.name}": the file is damaged')
        names.add(layer.name)
