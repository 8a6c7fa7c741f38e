"""Model files written by Keras, and what Keras itself says of the models in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def write(keras, case, folder, optimizer, saved_model):
    """Builds, trains one step and saves the model `case` in every format its Keras has, where `saved_model`
    as a SavedModel, too.

    Answers "said", a JSON text, and the arrays it numbers: "weights" is (path, number of the weight in the
    layer, array), "slots" (slot, path, number of the weight, array), "scalars" by name.
    """
    folder = Path(str(folder))
    model, inputs, targets = _CASES[str(case)](keras)
    _perturb(model)
    if targets is not None:
        model.compile(
            optimizer=_optimizer(keras, str(optimizer)), loss=["mse"] * len(targets), run_eagerly=True
        )
        first = inputs[0] if len(inputs) == 1 else inputs
        model.train_on_batch(first, targets[0] if len(targets) == 1 else targets)
    # Saving as .h5 takes the optimizer out of what Keras 3 writes later.
    model.save(str(folder / "model.keras"))
    model.save(str(folder / "model.h5"))
    model.save_weights(str(folder / "model.weights.h5"))
    (folder / "model.json").write_text(model.to_json())
    if keras.__name__ == "tf_keras":
        model.save_weights(str(folder / "list_of_layers.h5"))
    if saved_model:
        model.save(str(folder / "saved_model"), save_format="tf")
    arrays = []
    said = {"weights": [], "slots": [], "scalars": {}, "version": keras.__version__}
    weights = list(_weights(model, ()))
    for path, number, variable in weights:
        said["weights"].append([path, number, _put(arrays, variable)])
    if targets is not None:
        for slot, variable, value in _slots(model):
            path, number = next((p, n) for p, n, each in weights if each is variable)
            said["slots"].append([slot, path, number, _put(arrays, value)])
        said["iteration"] = int(np.asarray(model.optimizer.iterations))
        if hasattr(model.optimizer, "_m_cache"):
            said["scalars"]["momentum_cache"] = float(np.asarray(model.optimizer._m_cache))
    said["order"] = _execution_order(model)
    said["shapes"] = _shapes(model)
    said["parameters"] = int(sum(np.asarray(variable).size for _, _, variable in weights))
    said["layers"] = [layer.name for layer in model.layers]
    return {"said": np.array(json.dumps(said))} | {str(n): array for n, array in enumerate(arrays)}


def _put(arrays, variable):
    arrays.append(np.asarray(variable))
    return len(arrays) - 1


def _perturb(model):
    """No two weights alike, and none zero or one."""
    random = np.random.RandomState(3)
    model.set_weights(
        [random.uniform(0.1, 0.9, weight.shape).astype(weight.dtype) for weight in model.get_weights()]
    )


def _weights(model, path):
    """(path, number, variable) of every layer that is no model, its weights in Keras's own order."""
    for layer in model.layers:
        here = [*path, layer.name]
        if hasattr(layer, "layers"):
            yield from _weights(layer, here)
        else:
            for number, variable in enumerate(layer.weights):
                yield here, number, variable


def _optimizer(keras, name):
    arguments = {
        "adam": {},
        "amsgrad": {"amsgrad": True},
        "rmsprop": {"momentum": 0.5, "centered": True},
        "sgd": {"momentum": 0.5},
        "nadam": {},
    }
    classes = {"adam": "Adam", "amsgrad": "Adam", "nadam": "Nadam", "rmsprop": "RMSprop", "sgd": "SGD"}
    kind, _, generation = name.partition("-")
    home = keras.optimizers.legacy if generation == "legacy" else keras.optimizers
    return getattr(home, classes[kind])(0.01, **arguments[kind])


# Where Keras 3 and tf_keras since 2.11 keep a slot, in the order of the trained weights; and its names.
_SLOT_LISTS = {
    "_momentums": ("m", "momentum"),
    "_velocities": ("v", "velocity"),
    "_velocity_hats": ("vhat", "velocity_hat"),
    "_average_gradients": ("average_gradient", "average_gradient"),
    "momentums": ("m", "momentum"),
}


def _slots(model):
    optimizer = model.optimizer
    if hasattr(optimizer, "get_slot_names"):
        for slot in optimizer.get_slot_names():
            for variable in model.trainable_weights:
                yield slot, variable, optimizer.get_slot(variable, slot)
        return
    is_keras3 = not hasattr(model, "_layer_checkpoint_dependencies")
    for attribute, names in _SLOT_LISTS.items():
        values = getattr(optimizer, attribute, None)
        for variable, value in zip(model.trainable_weights, values, strict=True) if values else ():
            slot = names[is_keras3]
            if type(optimizer).__name__ == "RMSprop" and attribute == "_momentums":
                slot = "momentum"
            if type(optimizer).__name__ == "RMSprop" and attribute == "_velocities":
                slot = "velocity"
            yield slot, variable, value


def _graph(model):
    """What holds the nodes: of a Sequential of Keras 3 the Functional model behind it."""
    return getattr(model, "_functional", None) or model


def _own_nodes(model):
    by_depth = _graph(model)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _layer_of(node):
    return node.operation if hasattr(node, "operation") else node.layer


def _execution_order(model):
    """[layer, number of the call] in the order in which the model runs them, without the inputs."""
    nodes = _own_nodes(model)
    order = []
    for node in nodes:
        layer = _layer_of(node)
        if type(layer).__name__ != "InputLayer":
            mine = [each for each in layer._inbound_nodes if any(each is other for other in nodes)]
            order.append([layer.name, [each is node for each in mine].index(True)])
    return order


def _shapes(model):
    """The output shape of each layer's first call with one output."""
    shapes = {}
    for node in _own_nodes(model):
        outputs = node.output_tensors if hasattr(node, "operation") else node.outputs
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        if len(outputs) == 1:
            shapes.setdefault(_layer_of(node).name, list(outputs[0].shape))
    return shapes


def _numbers(*shape):
    return np.random.RandomState(0).uniform(0.1, 0.9, shape).astype("float32")


def _sequential(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((9, 7, 2)),
            layers.Conv2D(3, (3, 2), padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(scale=False, name="bn"),
            layers.ReLU(6.0),
            layers.MaxPooling2D((2, 3), strides=1),
            layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, name="depthwise"),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(4, name="dense"),
        ]
    )
    return model, [_numbers(2, 9, 7, 2)], [_numbers(2, 4)]


def _without_shape(keras):
    layers = keras.layers
    model = keras.Sequential(
        [layers.Dense(5, name="one"), layers.PReLU(name="prelu"), layers.Dense(3, name="two")]
    )
    model(_numbers(2, 6))
    return model, [_numbers(2, 6)], [_numbers(2, 3)]


def _functional(keras):
    """Branches, a shared layer, inner models, one of them frozen, two inputs and two outputs."""
    layers = keras.layers
    slash = "/" if keras.__name__ == "tf_keras" else "_"
    inside = keras.Input((8, 6, 3))
    features = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(inside))
    features = layers.Conv2D(4, 1, name="frozen_conv", trainable=False)(features)
    inner = keras.Model(inside, features, name="inner")
    frozen_inside = keras.Input((6, 4, 4))
    frozen = layers.BatchNormalization(name="bn_2")(layers.Conv2D(4, 1, name="conv_2")(frozen_inside))
    frozen = keras.Model(frozen_inside, layers.BatchNormalization(name="bn_3")(frozen), name="frozen")
    frozen.trainable = False
    tail = keras.Sequential(
        [layers.Conv2D(2, 3, name="conv_3"), layers.Flatten(), layers.Dense(5)], name="tail"
    )
    image, vector = keras.Input((8, 6, 3), name="image"), keras.Input((5,), name="vector")
    left, right = inner(image), inner(layers.Activation("relu", name="act")(image))
    both = layers.Add(name="add")([frozen(right), left])
    shared = layers.Dense(5, name="shared" + slash + "dense")
    joined = layers.Concatenate(name="joined")([shared(shared(vector)), tail(both), shared(vector)])
    first = layers.Dense(3, name="first")(joined)
    second = layers.Dense(2, name="second")(layers.GlobalAveragePooling2D(name="pool")(both))
    model = keras.Model([vector, image], [second, first], name="whole")
    return model, [_numbers(2, 5), _numbers(2, 8, 6, 3)], [_numbers(2, 2), _numbers(2, 3)]


def _sequences(keras):
    layers = keras.layers
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    hidden = layers.Embedding(11, 4, name="embedding")(tokens)
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both_ways")(hidden)
    hidden = layers.TimeDistributed(layers.Dense(4, use_bias=False), name="each_step")(hidden)
    hidden = layers.MultiHeadAttention(2, 3, name="attention")(hidden, hidden)
    hidden = layers.LayerNormalization(name="norm")(hidden)
    hidden = layers.SeparableConv1D(5, 2, name="separable")(hidden)
    hidden = layers.GRU(3, name="gru")(hidden)
    model = keras.Model(tokens, layers.Dense(2, name="head")(hidden), name="sequences")
    return model, [np.arange(12).reshape(2, 6) % 11], [_numbers(2, 2)]


def _images(keras):
    """Layers that change the size, and those with states that are no weights."""
    layers = keras.layers
    image = keras.Input((9, 7, 4), name="image")
    hidden = layers.Rescaling(1 / 255, name="rescale")(image)
    hidden = layers.RandomFlip(name="flip")(hidden)
    hidden = layers.ZeroPadding2D(((1, 2), (0, 3)), name="pad")(hidden)
    hidden = layers.Cropping2D(((1, 0), (2, 1)), name="crop")(hidden)
    hidden = layers.Conv2DTranspose(3, 3, strides=2, name="up")(hidden)
    hidden = layers.UpSampling2D((2, 1), name="up_2")(hidden)
    hidden = layers.AveragePooling2D(3, strides=2, padding="same", name="down")(hidden)
    hidden = layers.GroupNormalization(3, name="groups")(hidden)
    hidden = layers.Resizing(6, 5, name="resize")(hidden)
    hidden = layers.Permute((2, 3, 1), name="permute")(hidden)
    hidden = layers.Reshape((-1, 6), name="reshape")(hidden)
    hidden = layers.GlobalMaxPooling1D(name="pool")(hidden)
    hidden = layers.RepeatVector(3, name="repeat")(hidden)
    model = keras.Model(image, layers.Conv1D(2, 2, padding="causal", name="last")(hidden), name="images")
    return model, [_numbers(2, 9, 7, 4)], [_numbers(2, 3, 2)]


def _random(keras):
    """Layers that draw numbers, whose states are no weights, in a model inside."""
    layers = keras.layers
    drawn = keras.Sequential(
        [layers.RandomFlip(name="flip"), layers.RandomRotation(0.2, name="rotation")], name="drawn"
    )
    drop = layers.Dropout(0.5, name="drop")
    model = keras.Sequential(
        [keras.Input((6, 5, 3)), drawn, layers.Conv2D(2, 3, name="conv"), drop, layers.Flatten()],
        name="random",
    )
    return model, [_numbers(2, 6, 5, 3)], [_numbers(2, 24)]


def _channels_first(keras):
    """Not trained: TensorFlow cannot run it on a CPU."""
    layers = keras.layers
    image = keras.Input((3, 9, 7), name="image")
    hidden = layers.Conv2D(4, 3, strides=2, data_format="channels_first", name="conv")(image)
    hidden = layers.BatchNormalization(axis=1, name="bn")(hidden)
    hidden = layers.GlobalAveragePooling2D(data_format="channels_first", keepdims=True, name="pool")(hidden)
    return keras.Model(image, layers.Flatten(name="flat")(hidden), name="first"), [], None


_CASES = {
    "sequential": _sequential,
    "without_shape": _without_shape,
    "functional": _functional,
    "sequences": _sequences,
    "images": _images,
    "channels_first": _channels_first,
    "random": _random,
}
