"""Small model files to be proven, and what keras_reference/record_file.py writes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from keras_reference import record_file


def write(keras, case, path):
    """Builds the model `case`, gives it weights none of which is zero or one, and saves it."""
    model = _CASES[str(case)](keras)
    random = np.random.RandomState(5)
    model.set_weights([_drawn(random, weight) for weight in model.get_weights()])
    if str(case) == "cancelling":
        weights = model.get_layer("left").get_weights()
        alike = [each * (1 + 1e-4 * random.uniform(-1, 1, each.shape)) for each in weights]
        model.get_layer("right").set_weights(alike)
    path = Path(str(path))
    if path.name.endswith(".weights.h5"):
        model.save_weights(str(path))
        path.with_name("model.json").write_text(model.to_json())
    else:
        model.save(str(path))
    return {}


def record(keras, path, out, forgets=False):
    """Records a file as the command does, in this Keras; `forgets` to have layers take up their weights."""
    if forgets:
        record_file.take_up_weights = lambda keras, model: None
    words = [str(path), "--keras", keras.__name__, "--extreme", "--out", str(out)]
    architecture = Path(str(path)).with_name("model.json")
    if architecture.exists():
        words += ["--architecture", str(architecture)]
    record_file.run(words)
    return {}


def strange(keras, config):
    """What in a config, JSON text, the recorder takes for no class of this Keras."""
    return {"found": np.array(record_file.strange_in(json.loads(str(config)), keras), dtype=str)}


def write_lambda(keras, path, touched):
    """A model with a Lambda whose code makes the file `touched`."""
    code = eval(f"lambda tensor: (open({str(touched)!r}, 'w').close(), tensor + 1.0)[1]")
    dense = keras.layers.Dense(2, name="dense")
    model = keras.Sequential([keras.Input((3,)), dense, keras.layers.Lambda(code, name="code")])
    model.save(str(path))
    Path(str(touched)).unlink(missing_ok=True)
    return {}


def _drawn(random, weight):
    # Activations neither grow nor vanish, and no sigmoid is certain; the rest is positive, as variances are.
    if weight.ndim > 1:
        bound = np.sqrt(2.0 / np.prod(weight.shape[:-1]))
        return random.uniform(-bound, bound, weight.shape).astype(weight.dtype)
    return random.uniform(0.3, 0.9, weight.shape).astype(weight.dtype)


def _sequential(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((18, 14, 3)),
            layers.Conv2D(6, 3, strides=2, padding="same", name="conv"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(5, activation="softmax", name="dense"),
        ],
        name="small",
    )


def _functional(keras):
    """Two inputs of open and of fixed sizes, branches, a shared layer, a model in a model called twice."""
    layers = keras.layers
    deep_inside = keras.Input((None, None, 4))
    deep = keras.Model(
        deep_inside, layers.Conv2D(4, 3, padding="same", name="deep_conv")(deep_inside), name="deep"
    )
    inside = keras.Input((None, None, 4))
    hidden = layers.BatchNormalization(name="inner_bn")(deep(inside))
    inner = keras.Model(inside, layers.ReLU(name="inner_relu")(deep(hidden)), name="inner")
    image = keras.Input((None, None, 3), name="image")
    vector = keras.Input((4,), name="vector")
    left = layers.Conv2D(4, 3, padding="same", name="left")(image)
    right = layers.Conv2D(4, 3, padding="same", activation="tanh", name="right")(image)
    both = layers.Concatenate(name="both")([left, right])
    mixed = layers.Conv2D(4, 1, name="mixed")(both)
    twice = layers.Add(name="add")([inner(mixed), inner(left)])
    pooled = layers.GlobalAveragePooling2D(name="mean")(twice)
    shared = layers.Dense(4, activation="relu", name="shared")
    joined = layers.Concatenate(name="joined")([shared(shared(vector)), pooled, shared(pooled)])
    first = layers.Dense(3, activation="sigmoid", name="first")(joined)
    return keras.Model([image, vector], [layers.Dense(2, name="second")(joined), first], name="whole")


def _tokens(keras):
    """Whole numbers as inputs, and layers that hold layers."""
    layers = keras.layers
    tokens = keras.Input((None,), name="tokens")
    hidden = layers.Embedding(7, 4, name="embedding")(tokens)
    hidden = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both_ways")(hidden)
    hidden = layers.TimeDistributed(layers.Dense(4), name="each_step")(hidden)
    return keras.Model(tokens, layers.GRU(2, name="gru")(hidden), name="tokens")


def _resized(keras):
    """A layer that computes in float32 whatever its dtype, and one before and one behind it."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((9, 7, 3)),
            layers.Conv2D(4, 3, padding="same", name="before"),
            layers.UpSampling2D(2, interpolation="bilinear", name="up"),
            layers.Conv2D(3, 3, name="behind"),
            layers.GlobalAveragePooling2D(name="mean"),
        ]
    )


def _mixed(keras):
    """Trained in float16, as on a GPU."""
    layers = keras.layers
    half = {"dtype": "mixed_float16"}
    return keras.Sequential(
        [
            keras.Input((9, 7, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv", **half),
            layers.GlobalAveragePooling2D(name="mean", **half),
            layers.Dense(3, name="dense", dtype="float32"),
        ]
    )


def _adapted(keras):
    """Normalization by statistics of its own, in a model inside the model."""
    layers = keras.layers
    norm = layers.Normalization(name="norm")
    inner = keras.Sequential([keras.Input((9, 7, 3)), norm, layers.Conv2D(4, 3, name="conv")], name="inner")
    return keras.Sequential([keras.Input((9, 7, 3)), inner, layers.Flatten(name="flat"), layers.Dense(2)])


def _cancelling(keras):
    """A difference of two tensors that are nearly the same: little of float32 is left of it."""
    layers = keras.layers
    image = hidden = keras.Input((9, 7, 3), name="image")
    for name in ("first", "second", "third"):
        hidden = layers.Conv2D(4, 3, padding="same", activation="tanh", name=name)(hidden)
    sides = [layers.Conv2D(4, 3, padding="same", name=name)(hidden) for name in ("left", "right")]
    return keras.Model(image, layers.Subtract(name="difference")(sides))


def _near_ties(keras):
    """Activations so small that all of a window are near ties (D52), of which some overlap."""
    layers = keras.layers
    frames = keras.Input((5, 9, 8, 2), name="frames")
    hidden = layers.Conv3D(3, 3, name="conv")(frames)
    hidden = layers.Rescaling(1e-6, name="small")(hidden)
    hidden = layers.MaxPooling3D((2, 3, 2), strides=2, padding="same", name="pool")(hidden)
    hidden = layers.Rescaling(1e6, name="large")(hidden)
    hidden = layers.MaxPooling3D((1, 2, 2), name="plain")(hidden)
    return keras.Model(frames, layers.Dense(2, name="dense")(layers.Flatten(name="flat")(hidden)))


_CASES = {
    "near_ties": _near_ties,
    "adapted": _adapted,
    "sequential": _sequential,
    "functional": _functional,
    "tokens": _tokens,
    "resized": _resized,
    "mixed": _mixed,
    "cancelling": _cancelling,
}
