"""The recorder: runs a Keras model and writes what it did into a trace folder.

One standalone file. It needs numpy and a tf.keras, keras or tf_keras, imports nothing of this project and
keeps to Python 3.7 syntax, so that it can be copied into the OLD environment a model lives in:

    python record.py --model package.module:function --profile tf2.4 --dtype float64 --out traces/mine

A trace is `trace.json` (what was recorded, and its birth certificate) beside `arrays.npz`. What a seed can
make again is stored as the seed: weights and inputs come from numpy.random.RandomState, whose stream numpy
keeps frozen. Keras is imported inside functions only: the reader of traces imports this file for its drawing
functions, at the price of numpy.
"""

import argparse
import contextlib
import datetime
import hashlib
import importlib
import importlib.util
import inspect
import json
import math
import os
import platform
import random
import re
import shlex
import shutil
import signal
import sys
import traceback
import zlib

import numpy as np

SCHEMA_VERSION = 2
TRACE_FILE = "trace.json"
ARRAYS_FILE = "arrays.npz"

PROFILES = ("tf2.4", "keras3")
PACKAGES = ("tf_keras", "keras", "tensorflow.keras")
DTYPES = ("float32", "float64")
MODEL_FILE_ENDINGS = (".h5", ".hdf5", ".keras")

EXIT_BAD_INPUT = 2

# Images in [0, 1], as most models read them after rescaling.
INPUT_RANGE = [0.0, 1.0]
SAMPLE_WEIGHT_RULE = {"distribution": "uniform", "low": 0.25, "high": 2.0}

# Layers that draw random numbers in training. Of Dropout the masks are ours, drawn from the seed.
RANDOM_LAYERS = re.compile("Dropout|Noise|^Random|StochasticDepth|DropPath")
# What each callback decides by; those in IDLE_CALLBACKS change nothing in the training.
CALLBACK_ATTRIBUTES = {
    "ReduceLROnPlateau": ("monitor", "factor", "patience", "min_delta", "cooldown", "min_lr", "mode"),
    "EarlyStopping": (
        "monitor",
        "min_delta",
        "patience",
        "mode",
        "baseline",
        "restore_best_weights",
        "start_from_epoch",
    ),
    "TerminateOnNaN": (),
}
IDLE_CALLBACKS = (
    "ModelCheckpoint",
    "CSVLogger",
    "TensorBoard",
    "ProgbarLogger",
    "History",
    "BackupAndRestore",
)
# It decides by a function: what that gave is recorded.
SCHEDULER = "LearningRateScheduler"
# What stands in a BatchNormalization must differ from its start (0 or 1), or a statistic that is not carried
# over, or carried to the wrong place, would go unseen.
RULE_OF_WEIGHT = {
    "bias": {"distribution": "away", "center": 0.0, "nearest": 0.02, "farthest": 0.2},
    "gamma": {"distribution": "away", "center": 1.0, "nearest": 0.1, "farthest": 0.4},
    "beta": {"distribution": "away", "center": 0.0, "nearest": 0.05, "farthest": 0.3},
    "moving_mean": {"distribution": "away", "center": 0.0, "nearest": 0.05, "farthest": 0.3},
    "moving_variance": {"distribution": "away", "center": 1.0, "nearest": 0.2, "farthest": 0.6},
    "variance": {"distribution": "away", "center": 1.0, "nearest": 0.2, "farthest": 0.6},
}


# How much of what was drawn stays in calibrated statistics: a net of fifty layers grows by it fifty times.
CALIBRATED_SHARE = 1 / 32
# With half of all ReLUs off, as a beta about 0 has it, each layer of a drawn net multiplies round-off: at the
# end of ResNet50 float32 is 9e-5 off from float64, with most of them on 3e-6.
CALIBRATED_BETA = 1.0


class RecordError(Exception):
    """Bad input. The message is one line that names the thing and the remedy."""


# --- Drawing: used here to record, and by the reader to make the same numbers again -----------------------


def random_state(seed, name):
    """The stream of one array: its own, whatever else the trace holds and in whatever order.

    Args:
        seed: The trace's, 0 to 2**32 - 1.
        name: The array's logical name, such as "weights/conv1/kernel".
    """
    return np.random.RandomState([seed, zlib.crc32(name.encode("utf-8"))])


def draw(rule, seed, name, shape, dtype):
    """Draws one array, in float64, then casts it.

    Only additions, multiplications and the generator's own uniform numbers: a normal distribution would take
    a logarithm from the machine's C library, and the last bit of that differs between machines.

    Args:
        rule: {"distribution": "uniform", "low", "high"}; {"distribution": "away", "center", "nearest",
            "farthest"}: on either side of the centre, never nearer to it than "nearest"; or
            {"distribution": "labels", "classes"}: whole numbers from 0.
        seed: The trace's.
        name: The array's logical name.
        shape: Its shape.
        dtype: What it is cast to, "float32", "float64" or "int64".

    Raises:
        ValueError: A distribution this version does not know.
    """
    state = random_state(seed, name)
    if rule["distribution"] == "uniform":
        numbers = rule["low"] + (rule["high"] - rule["low"]) * state.random_sample(shape)
    elif rule["distribution"] == "away":
        distance = rule["nearest"] + (rule["farthest"] - rule["nearest"]) * state.random_sample(shape)
        numbers = rule["center"] + np.where(state.random_sample(shape) < 0.5, -distance, distance)
    elif rule["distribution"] == "labels":
        numbers = np.floor(state.random_sample(shape) * rule["classes"])
    else:
        raise ValueError('unknown distribution "{}"'.format(rule["distribution"]))
    return np.asarray(numbers).astype(dtype)


def input_rule(input_range):
    """How inputs are drawn.

    Args:
        input_range: Lowest and highest value.
    """
    return {"distribution": "uniform", "low": input_range[0], "high": input_range[1]}


def weight_rule(name, shape, is_depthwise=False):
    """How a weight is drawn: kernels with He's variance, 2 / fan_in, everything else near its start.

    Args:
        name: Keras's short name, such as "kernel".
        shape: In Keras's order.
        is_depthwise: Whether the layer is a depthwise convolution: Keras 3 calls its kernel "kernel", too.
    """
    if name in RULE_OF_WEIGHT or len(shape) < 2:
        return dict(RULE_OF_WEIGHT.get(name, RULE_OF_WEIGHT["bias"]))
    # A depthwise kernel is (h, w, in, multiplier): each filter sees one channel.
    sees_one_channel = is_depthwise or name == "depthwise_kernel"
    fan_in = int(np.prod(shape[:-2] if sees_one_channel else shape[:-1]))
    bound = math.sqrt(6.0 / max(fan_in, 1))
    return {"distribution": "uniform", "low": -bound, "high": bound}


def sampled_places(seed, name, size, count):
    """The places of one example at which an array is kept: `count` of 0 ... size - 1, ascending.

    Args:
        seed: The trace's.
        name: The array's logical name.
        size: Values in one example.
        count: How many are kept.
    """
    return np.sort(random_state(seed, "places/" + name).choice(size, count, replace=False))


def sample(array, seed, name, count):
    """`(N, ...)` to `(N, count)`: the same seeded places of every example, so that examples compare."""
    rows = array.reshape(len(array), -1)
    return rows[:, sampled_places(seed, name, rows.shape[1], count)]


def sample_anywhere(array, seed, name, count):
    """An array of any shape to `(count,)`: its values at seeded places."""
    return array.reshape(-1)[sampled_places(seed, name, array.size, count)]


def epoch_order(seed, epoch, count):
    """The order in which an epoch sees its examples: `(count,)` indices.

    Args:
        seed: The trace's.
        epoch: From 0.
        count: Examples.
    """
    return np.argsort(random_state(seed, "order/{}".format(epoch)).random_sample(count), kind="mergesort")


def dropout_mask(seed, layer, step, shape, rate):
    """What a Dropout layer keeps at a step: booleans of `shape`, the batch axis first.

    Args:
        seed: The trace's.
        layer: The layer's name.
        step: From 0, over the whole training.
        shape: Of a full batch; a shorter one takes the first rows.
        rate: The share dropped.
    """
    return random_state(seed, "mask/{}/{}".format(layer, step)).random_sample(shape) >= rate


def checksum(array):
    """sha256 of an array's little-endian bytes: a changed drawing rule does not go unnoticed."""
    array = np.ascontiguousarray(array)
    return hashlib.sha256(array.astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()


class ArrayStore:
    """The arrays of one trace: what is said of each (`entries`) and what is kept of each (`stored`).

    Args:
        seed: The trace's.
        keep: Values of an activation that are kept, or None for all.
    """

    def __init__(self, seed, keep):
        self.seed = seed
        self.keep = keep
        self.entries = {}
        self.stored = {}

    def add_drawn(self, name, rule, shape, dtype):
        """Draws an array, notes its rule and checksum, and returns it."""
        array = draw(rule, self.seed, name, shape, dtype)
        self._describe(name, array, "seed", rule=rule, seed=self.seed, sha256=checksum(array))
        return array

    def add_full(self, name, array):
        """Keeps every value."""
        self.stored[name] = array
        self._describe(name, array, "full")

    def add_per_example(self, name, array):
        """Keeps an array `(N, ...)` whole, or the same seeded places of every example."""
        size = array.size // len(array)
        count = size if self.keep is None else max(1, self.keep // len(array))
        if count >= size:
            self.add_full(name, array)
        else:
            self.stored[name] = sample(array, self.seed, name, count)
            self._describe(name, array, "sampled", places_per_example=count, seed=self.seed)

    def add_sampled(self, name, array):
        """Keeps an array of any shape whole, or its values at seeded places."""
        if self.keep is None or self.keep >= array.size:
            self.add_full(name, array)
        else:
            self.stored[name] = sample_anywhere(array, self.seed, name, self.keep)
            self._describe(name, array, "sampled-anywhere", places=self.keep, seed=self.seed)

    def _describe(self, name, array, stored, **more):
        if name in self.entries:
            raise RecordError("two arrays would be named {}: give the layers different names".format(name))
        self.entries[name] = dict(shape=list(array.shape), dtype=array.dtype.name, stored=stored, **more)


# --- Keras, and the model ---------------------------------------------------------------------------------


def load_keras(package, profile):
    """Imports a Keras and checks that it is of the generation the profile stands for.

    Args:
        package: One of PACKAGES, or None: by profile.
        profile: "tf2.4" or "keras3".

    Raises:
        RecordError: The package is not installed, or is of the other generation.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if package is None:
        if profile == "keras3":
            package = "keras"
        else:
            package = "tf_keras" if importlib.util.find_spec("tf_keras") else "tensorflow.keras"
    try:
        with quiet_stderr():
            # tensorflow.keras is an attribute, loaded on use, and no importable module since TF 2.16.
            root = importlib.import_module(package.split(".")[0])
            keras = root.keras if package == "tensorflow.keras" else root
            version = keras_version(keras)
    except (ImportError, AttributeError) as error:
        raise RecordError(
            "{} cannot be imported ({}): install it, or name another with --keras".format(package, error)
        ) from error
    if (int(version.split(".")[0]) >= 3) != (profile == "keras3"):
        raise RecordError(
            "{} is Keras {}, which profile {} does not stand for: choose another --profile or --keras".format(
                package, version, profile
            )
        )
    return package, keras


def keras_version(keras):
    """Keras's version. Before Keras 3, a tf.keras that states none has TensorFlow's."""
    import tensorflow

    return getattr(keras, "__version__", tensorflow.__version__)


@contextlib.contextmanager
def quiet_stderr():
    """Keeps TensorFlow's native start-up lines, which no log level turns off, away from the user's screen."""
    sys.stderr.flush()
    kept = os.dup(2)
    hidden = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(hidden, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(hidden)


def choose_dtype(keras, dtype):
    """Makes every layer built from now on compute in `dtype`, and forgets what was built before."""
    keras.backend.clear_session()
    keras.backend.set_floatx(dtype)
    if hasattr(keras, "config"):
        # Keras 3: floatx alone leaves the layers in float32.
        keras.config.set_dtype_policy(dtype)


def split_spec(spec):
    """`package.module:function` or `path/file.py:function` into its two halves.

    Raises:
        RecordError: Anything else.
    """
    if spec.endswith(MODEL_FILE_ENDINGS):
        raise RecordError(
            "--model {}: model files are not read yet; name a function that returns the model, "
            "package.module:function".format(spec)
        )
    place, _, function = spec.rpartition(":")
    if not place or not function.isidentifier():
        raise RecordError(
            "--model {}: expected package.module:function or path/file.py:function".format(spec)
        )
    return place, function


def trace_name(spec):
    """What a trace is called after: the module, and the function where that is not `build`."""
    place, function = split_spec(spec)
    module = os.path.basename(place)[:-3] if place.endswith(".py") else place.split(".")[-1]
    return module if function == "build" else module + "-" + function


def load_builder(spec):
    """The function that builds the model.

    Raises:
        RecordError: No such file, module or function, or the module cannot be imported.
    """
    place, function = split_spec(spec)
    try:
        if place.endswith(".py"):
            if not os.path.isfile(place):
                raise RecordError("--model {}: there is no file {}".format(spec, place))
            sys.path.insert(0, os.path.dirname(os.path.abspath(place)))
            module_spec = importlib.util.spec_from_file_location(os.path.basename(place)[:-3], place)
            module = importlib.util.module_from_spec(module_spec)
            module_spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
    except RecordError:
        raise
    except Exception as error:
        raise RecordError(
            "--model {}: cannot import {}: {}".format(spec, place, describe_error(error))
        ) from error
    builder = getattr(module, function, None)
    if not callable(builder):
        names = [name for name, thing in vars(module).items() if inspect.isfunction(thing)]
        raise RecordError(
            "--model {}: {} has no function {} (it has {})".format(
                spec, place, function, ", ".join(names) or "none"
            )
        )
    return builder


def build_model(keras, spec, input_shape):
    """Builds the model and checks that it can be recorded.

    Args:
        keras: The module.
        spec: `package.module:function`; the function takes nothing, or the keras module.
        input_shape: Without the batch axis, for a Sequential model that states none; or None.

    Raises:
        RecordError: The function fails, or what it returns is no Sequential or Functional model.
    """
    builder = load_builder(spec)
    required = [
        parameter.name
        for parameter in inspect.signature(builder).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(required) > 1:
        raise RecordError(
            "--model {}: the function requires {}; it may require the keras module and nothing more".format(
                spec, ", ".join(required)
            )
        )
    try:
        model = builder(keras) if required else builder()
    except Exception as error:
        raise RecordError(
            "--model {}: the function failed: {}".format(spec, describe_error(error))
        ) from error
    if not isinstance(model, keras.Model):
        raise RecordError(
            "--model {}: the function returned {}.{}, not a model of {} {}".format(
                spec, type(model).__module__, type(model).__name__, keras.__name__, keras_version(keras)
            )
        )
    if isinstance(model, keras.Sequential) and not getattr(model, "inputs", None):
        if input_shape is None:
            raise RecordError("--model {}: the model states no input shape: give --input-shape".format(spec))
        try:
            model.build((None,) + tuple(input_shape))
        except Exception as error:
            message = "--model {}: it cannot be built for --input-shape {}: {}"
            raise RecordError(message.format(spec, input_shape, describe_error(error))) from error
    if not getattr(model, "inputs", None):
        raise RecordError(
            "--model {}: a subclassed model has no layer graph: only Sequential and Functional "
            "models are recorded".format(spec)
        )
    check_layers(keras, model)
    return model


def check_layers(keras, model):
    """Refuses what a trace of this version cannot say.

    Raises:
        RecordError: A nested model, a layer called twice, a layer with several outputs.
    """
    calls = {}
    if not isinstance(model, keras.Sequential):
        try:
            for layer in model.get_config()["layers"]:
                calls[layer["name"]] = len(layer.get("inbound_nodes", []))
        except NotImplementedError:
            pass  # A layer without a configuration: its calls cannot be counted.
    for layer in layers_of(model):
        if isinstance(layer, keras.Model):
            raise RecordError(
                'layer "{}" is a model of its own: nested models are not recorded yet, build it flat'.format(
                    layer.name
                )
            )
        if calls.get(layer.name, 1) > 1:
            raise RecordError(
                'layer "{}" is called {} times: shared layers are not recorded yet'.format(
                    layer.name, calls[layer.name]
                )
            )
        if isinstance(layer.output, (list, tuple, dict)):
            raise RecordError(
                'layer "{}" has several outputs: such layers are not recorded yet'.format(layer.name)
            )


def layers_of(model):
    """The layers in Keras's order, without the inputs."""
    return [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]


def source_of(tensor):
    """The name of the layer that gives a symbolic tensor, an input's too."""
    history = tensor._keras_history
    return (history.operation if hasattr(history, "operation") else history.layer).name


def flat(tensors):
    """One tensor, or several in any container, as a list."""
    if isinstance(tensors, dict):
        tensors = list(tensors.values())
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


def short_names(layer):
    """Keras's names of a layer's weights without the layer's: "kernel", not "conv1/kernel:0"."""
    paths = [getattr(weight, "path", weight.name).split(":")[0] for weight in layer.weights]
    short = [path.split("/")[-1] for path in paths]
    if len(set(short)) == len(short):
        return short
    # A wrapper such as Bidirectional holds a kernel twice: what stands before it tells them apart.
    return [path.split("/", 1)[-1] for path in paths]


def describe_error(error):
    """One line: the error, and the line of the caller's code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " ({}:{})".format(os.path.basename(frames[-1].filename), frames[-1].lineno) if frames else ""
    return "{}: {}{}".format(type(error).__name__, error, place)


# --- Recording --------------------------------------------------------------------------------------------


def record_inputs(model, store, batch, input_shape, dtype, input_range):
    """Draws a batch for every input of the model.

    Returns:
        What trace.json says of the inputs, and the arrays.

    Raises:
        RecordError: An axis of unknown length, or an input that is not of floating point.
    """
    described, arrays = [], []
    for tensor in model.inputs:
        name = tensor.name.split(":")[0]
        shape = list(tensor.shape)[1:]
        if input_shape is not None:
            fits = len(shape) == len(input_shape) and all(
                have in (None, want) for have, want in zip(shape, input_shape)
            )
            if not fits:
                raise RecordError(
                    "--input-shape {} does not fit input {} {}".format(input_shape, name, shape)
                )
            shape = list(input_shape)
        if None in shape:
            raise RecordError(
                "input {} has axes of unknown length {}: give --input-shape".format(name, shape)
            )
        tensor_dtype = getattr(tensor.dtype, "name", str(tensor.dtype))
        if not tensor_dtype.startswith("float"):
            raise RecordError(
                "input {} is {}: only floating inputs are recorded yet".format(name, tensor_dtype)
            )
        array_name = "input/" + name
        arrays.append(store.add_drawn(array_name, input_rule(input_range), [batch] + shape, dtype))
        described.append({"name": name, "shape": [batch] + shape, "array": array_name})
    return described, arrays


def record_weights(layer, store, weights, beta_center):
    """Gives a layer drawn weights, or keeps its own, and describes it (all but its output shape).

    Args:
        layer: A Keras layer.
        store: Where the arrays go.
        weights: "seed": drawn. "model": the layer's own, kept in full.
        beta_center: About what BatchNormalization's beta is drawn.
    """
    names = short_names(layer)
    trainable = {id(weight) for weight in layer.trainable_weights}
    described, arrays = [], []
    counts = {True: 0, False: 0}
    for name, weight, own in zip(names, layer.weights, layer.get_weights()):
        array, array_name = np.asarray(own), "weights/{}/{}".format(layer.name, name)
        if weights == "seed" and array.dtype.kind == "f":
            rule = weight_rule(name, array.shape, type(layer).__name__.startswith("Depthwise"))
            if name == "beta":
                rule["center"] = beta_center
            array = store.add_drawn(array_name, rule, list(array.shape), array.dtype.name)
        else:
            store.add_full(array_name, array)
        is_trainable = id(weight) in trainable
        counts[is_trainable] += int(array.size)
        arrays.append(array)
        described.append({"name": name, "shape": list(array.shape), "trainable": is_trainable})
    layer.set_weights(arrays)
    if hasattr(layer, "finalize_state"):
        # Normalization computes with copies of its weights.
        layer.finalize_state()
    return {
        "name": layer.name,
        "class": type(layer).__name__,
        "activation": getattr(getattr(layer, "activation", None), "__name__", None),
        "trainable_parameters": counts[True],
        "non_trainable_parameters": counts[False],
        "weights": described,
    }


def calibrate(model, layers, store, inputs):
    """Gives every BatchNormalization statistics near those of the inputs, as a trained net has them.

    Drawn ones alone suit a shallow net; a deep one saturates or grows out of bounds with them. By a share of
    what was drawn the new ones differ from the inputs' own, so that neither is taken for the other.
    """
    normalising = [layer for layer in layers if type(layer).__name__ == "BatchNormalization"]
    kept = [(layer.momentum, layer.trainable) for layer in normalising]
    drawn = [
        [CALIBRATED_SHARE * np.asarray(each) for each in (layer.moving_mean, layer.moving_variance)]
        for layer in normalising
    ]
    for layer in normalising:
        layer.trainable = True
        layer.momentum = 0.0
    model(inputs[0] if len(inputs) == 1 else inputs, training=True)
    for layer, (momentum, trainable), (drawn_mean, drawn_variance) in zip(normalising, kept, drawn):
        layer.momentum, layer.trainable = momentum, trainable
        mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
        layer.moving_mean.assign(mean + drawn_mean * np.sqrt(variance))
        layer.moving_variance.assign(variance * (1 - CALIBRATED_SHARE + drawn_variance))
        for name in ("moving_mean", "moving_variance"):
            array_name = "weights/{}/{}".format(layer.name, name)
            del store.entries[array_name]
            store.add_full(array_name, np.asarray(getattr(layer, name)).copy())


def record_model(keras, package, spec, arguments, dtype, seed):
    """Builds a model, gives it its weights, runs it, and returns its trace.

    Returns:
        What goes into trace.json, and the arrays that are kept.

    Raises:
        RecordError: The model cannot be recorded.
    """
    choose_dtype(keras, dtype)
    seed_everything(seed)
    model = build_model(keras, spec, arguments.input_shape)
    store = ArrayStore(seed, arguments.keep)
    inputs, input_arrays = record_inputs(
        model, store, arguments.batch, arguments.input_shape, dtype, arguments.input_range
    )
    layers = layers_of(model)
    if not layers:
        raise RecordError("--model {}: the model has no layers".format(spec))
    beta_center = CALIBRATED_BETA if arguments.calibrate else RULE_OF_WEIGHT["beta"]["center"]
    described = [record_weights(layer, store, arguments.weights, beta_center) for layer in layers]
    if arguments.calibrate:
        calibrate(model, layers, store, input_arrays)

    probe = keras.Model(inputs=model.inputs, outputs=[layer.output for layer in layers])
    try:
        activations = probe(input_arrays, training=False)
    except Exception as error:
        raise RecordError("--model {}: running it failed: {}".format(spec, describe_error(error))) from error
    if not isinstance(activations, (list, tuple)):
        activations = [activations]
    for layer, activation, keras_layer in zip(described, activations, layers):
        layer["inputs"] = [source_of(tensor) for tensor in flat(keras_layer.input)]
        array = np.asarray(activation)
        layer["output_shape"] = [None] + list(array.shape[1:])
        store.add_per_example("activation/" + layer["name"], array)

    outputs = [layer.name for tensor in model.outputs for layer in layers if layer.output is tensor]
    trace = {
        "schema": SCHEMA_VERSION,
        "profile": arguments.profile,
        "dtype": dtype,
        "seed": seed,
        "model": {"name": model.name, "spec": spec, "weights": arguments.weights},
        "inputs": inputs,
        "layers": described,
        "outputs": outputs,
        "arrays": store.entries,
        "birth_certificate": birth_certificate(keras, package, seed, arguments.command),
    }
    if arguments.epochs:
        trace["training"] = record_training(keras, model, inputs, store, arguments, dtype, seed)
    return trace, store.stored


# --- Recording a training ---------------------------------------------------------------------------------


def record_training(keras, model, inputs, store, arguments, dtype, seed):
    """Trains a compiled model with its own `fit` and records what happened.

    Recorded are: the loss and metrics of an evaluation, and every gradient in inference mode, before the
    first step; gradients, slots, parameters and statistics at the first steps; loss and learning rate at
    every step; the figures of every epoch; and where it all ended.

    Returns:
        What trace.json says of the training.

    Raises:
        RecordError: The model is not compiled, or does what cannot be recorded.
    """
    import tensorflow

    if not getattr(model, "optimizer", None):
        raise RecordError(
            "--epochs {}: the model is not compiled: call model.compile in the function".format(
                arguments.epochs
            )
        )
    if len(inputs) != 1 or len(model.outputs) != 1:
        raise RecordError("a training is recorded of models with one input and one output only")
    fit = fit_arguments(keras, arguments.fit)
    layers = layers_of(model)
    if arguments.data:
        data = read_data(arguments.data, store, dtype)
    else:
        data = draw_data(model, inputs[0]["shape"][1:], store, arguments, dtype)
    if fit["class_weight"] and data["fit"][2] is not None:
        raise RecordError("class_weight beside sample weights is not recorded yet: leave one of them out")
    targets = target_form(model)
    described = {
        "optimizer": describe_object(model.optimizer),
        "loss": describe_loss(model.loss),
        "targets": targets,
        "batch": arguments.train_batch,
        "epochs": arguments.epochs,
        "class_weight": {str(label): float(weight) for label, weight in fit["class_weight"].items()} or None,
        "callbacks": [describe_callback(callback) for callback in fit["callbacks"]],
        "regularizers": weight_rules(layers, "_regularizer"),
        "constraints": weight_rules(layers, "_constraint"),
        "dropout": {},
    }
    masks = install_masks(keras, layers, arguments.train_batch, seed, described["dropout"])
    tapes = Tapes(keras, model, store, layers)
    x, y, weights = data["fit"]
    x_val, y_val, weights_val = data["validation"]
    y, y_val = to_targets(y, targets, model, dtype), to_targets(y_val, targets, model, dtype)

    order = epoch_order(seed, 0, len(x))[: arguments.train_batch]
    first = [None if array is None else array[order] for array in (x, y, weights)]
    tapes.record_inference_gradients(*first)
    held = evaluate(model, x_val, y_val, weights_val, arguments.train_batch)
    described["metrics"] = [name for name in held if name != "loss"]
    for name, value in held.items():
        store.add_full("evaluation/" + name, np.asarray(value, dtype="float64"))

    steps_per_epoch = -(-len(x) // arguments.train_batch)

    def batches():
        for epoch in range(arguments.epochs + 1):  # One more: Keras may fetch ahead.
            shuffled = epoch_order(seed, epoch, len(x))
            for start in range(0, len(x), arguments.train_batch):
                chosen = shuffled[start : start + arguments.train_batch]
                batch = (x[chosen], y[chosen])
                yield batch if weights is None else batch + (weights[chosen],)

    arrays = [array for array in (x, y, weights) if array is not None]
    signature = tuple(tensorflow.TensorSpec((None,) + array.shape[1:], array.dtype.name) for array in arrays)
    # No generator by itself: Keras 3 refuses class_weight beside one.
    dataset = tensorflow.data.Dataset.from_generator(batches, output_signature=signature)
    watch = watcher(keras, tapes, masks, store, arguments)
    validation = (x_val, y_val) if weights_val is None else (x_val, y_val, weights_val)
    model.fit(
        dataset,
        steps_per_epoch=steps_per_epoch,
        epochs=arguments.epochs,
        validation_data=validation,
        validation_batch_size=arguments.train_batch,
        class_weight=fit["class_weight"] or None,
        # Ours comes first: it reads what the epoch was trained with, before a callback changes it.
        callbacks=[watch] + fit["callbacks"],
        shuffle=False,
        verbose=0,
    )
    tapes.record_state("final", whole=False)
    held = evaluate(model, x_val, y_val, weights_val, arguments.train_batch)
    for name, value in held.items():
        store.add_full("final/evaluation/" + name, np.asarray(value, dtype="float64"))
    described["steps"] = watch.step
    described["epochs_run"] = len(watch.epochs)
    described["steps_per_epoch"] = steps_per_epoch
    described["update_steps"] = min(arguments.update_steps, watch.step)
    described["at_steps"] = [step for step in arguments.at_step if step <= watch.step]
    for name in ("loss", "learning_rate"):
        store.add_full("steps/" + name, np.asarray(getattr(watch, name), dtype="float64"))
    for name in watch.epochs[0]:
        figures = [epoch[name] for epoch in watch.epochs]
        store.add_full("epochs/" + name, np.asarray(figures, dtype="float64"))
    return described


def evaluate(model, x, y, weights, batch):
    """Keras's own evaluation: the loss and every metric by name."""
    return model.evaluate(x, y, sample_weight=weights, batch_size=batch, verbose=0, return_dict=True)


class Tapes:
    """Sees the losses and gradients of a compiled model as it trains, and reads its state.

    Args:
        keras: The module.
        model: Compiled.
        store: Where the arrays go.
        layers: The model's, without the inputs.
    """

    def __init__(self, keras, model, store, layers):
        import tensorflow

        self.tensorflow = tensorflow
        self.model = model
        self.store = store
        self.layers = layers
        names = {}
        for layer in layers:
            for short, weight in zip(short_names(layer), layer.weights):
                names[id(weight)] = "{}/{}".format(layer.name, short)
        self.trained = [(names[id(weight)], weight) for weight in model.trainable_weights]
        self.held = [
            (names[id(weight)], weight) for weight in model.non_trainable_weights if id(weight) in names
        ]
        dtype = np.asarray(self.trained[0][1]).dtype
        self.loss = tensorflow.Variable(0, dtype=dtype, trainable=False)
        self.gradients = [
            tensorflow.Variable(np.zeros(weight.shape, dtype), trainable=False) for _, weight in self.trained
        ]
        self.learning_rate = tensorflow.Variable(0, dtype="float64", trainable=False)
        if not hasattr(model, "compute_loss"):
            raise RecordError("this Keras's models have no compute_loss: a training needs TF 2.9 or later")
        own_loss, optimizer = model.compute_loss, model.optimizer
        own_apply = optimizer.apply_gradients

        def compute_loss(x=None, y=None, y_pred=None, sample_weight=None, **more):
            loss = own_loss(x, y, y_pred, sample_weight, **more)
            self.loss.assign(tensorflow.cast(loss, dtype))
            return loss

        def apply_gradients(grads_and_vars, *more, **named):
            pairs = list(grads_and_vars)
            for holder, (gradient, _) in zip(self.gradients, pairs):
                holder.assign(tensorflow.convert_to_tensor(gradient))
            # Of a schedule the graph's own value: computed outside of it, the last bit may differ.
            rate = tensorflow.convert_to_tensor(learning_rate_of(optimizer))
            self.learning_rate.assign(tensorflow.cast(rate, "float64"))
            return own_apply(pairs, *more, **named)

        self.own_loss = own_loss
        model.compute_loss = compute_loss
        optimizer.apply_gradients = apply_gradients

    def record_inference_gradients(self, x, y, weights):
        """Every gradient of the loss with the layers in inference mode, and that loss."""
        tensorflow = self.tensorflow

        @tensorflow.function
        def differentiate():
            with tensorflow.GradientTape() as tape:
                predicted = self.model(tensorflow.constant(x), training=False)
                weighing = None if weights is None else tensorflow.constant(weights)
                loss = self.own_loss(tensorflow.constant(x), tensorflow.constant(y), predicted, weighing)
            return loss, tape.gradient(loss, [weight for _, weight in self.trained])

        loss, gradients = differentiate()
        self.store.add_full("inference/loss", np.asarray(loss))
        for (name, _), gradient in zip(self.trained, gradients):
            self.store.add_sampled("inference/gradient/" + name, np.asarray(gradient))

    def record_gradients(self, place):
        """The gradients of the step that has just been made, whole: an optimizer is fed with them."""
        for (name, _), gradient in zip(self.trained, self.gradients):
            self.store.add_full("{}/gradient/{}".format(place, name), gradient.numpy())

    def record_state(self, place, whole):
        """Parameters, statistics, and the optimizer's slots and scalars."""
        add = self.store.add_full if whole else self.store.add_sampled
        for name, weight in self.trained:
            add("{}/parameter/{}".format(place, name), np.asarray(weight))
        for name, weight in self.held:
            add("{}/statistic/{}".format(place, name), np.asarray(weight))
        slots, scalars = optimizer_state(self.model.optimizer, self.trained)
        for name, array in slots.items():
            add("{}/slot/{}".format(place, name), array)
        for name, value in scalars.items():
            self.store.add_full("{}/scalar/{}".format(place, name), value)


def optimizer_state(optimizer, trained):
    """The slots "layer/weight/slot" and the scalars of an optimizer, by Keras's own names.

    Args:
        optimizer: Keras's, of any generation but tf_keras's own between (TF 2.11 to 2.15).
        trained: (name, variable) of every trained weight.

    Raises:
        RecordError: An optimizer whose slots have no names.
    """
    if hasattr(optimizer, "get_slot_names"):
        slots = {
            "{}/{}".format(name, slot): np.asarray(optimizer.get_slot(weight, slot))
            for name, weight in trained
            for slot in optimizer.get_slot_names()
        }
        scalars = {
            weight.name.split(":")[0].split("/")[-1]: np.asarray(weight)
            for weight in optimizer.weights
            if not len(weight.shape)
        }
        return slots, scalars
    if not hasattr(trained[0][1], "path"):
        raise RecordError(
            "{} is one of TF 2.11's new optimizers, which no profile stands for: take the one of "
            "keras.optimizers.legacy".format(type(optimizer).__name__)
        )
    slots, scalars = {}, {}
    prefixes = {weight.path.replace("/", "_") + "_": name for name, weight in trained}
    for variable in optimizer.variables:
        fits = [prefix for prefix in prefixes if variable.name.startswith(prefix)]
        if fits:
            prefix = max(fits, key=len)
            slots["{}/{}".format(prefixes[prefix], variable.name[len(prefix) :])] = np.asarray(variable)
        elif not len(variable.shape):
            scalars[variable.name] = np.asarray(variable)
    return slots, scalars


def watcher(keras, tapes, masks, store, arguments):
    """A callback that sets the masks before each step and reads what the step did."""

    class Watch(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.step, self.loss, self.learning_rate, self.epochs = 0, [], [], []

        def on_train_batch_begin(self, batch, logs=None):
            for set_mask in masks:
                set_mask(self.step)

        def on_train_batch_end(self, batch, logs=None):
            self.step += 1
            self.loss.append(float(tapes.loss.numpy()))
            self.learning_rate.append(float(tapes.learning_rate.numpy()))
            place = "step/{}".format(self.step)
            if self.step <= arguments.update_steps:
                tapes.record_gradients(place)
            if self.step <= arguments.update_steps or self.step in arguments.at_step:
                tapes.record_state(place, whole=self.step <= arguments.update_steps)
            print(
                "step {}: loss {:.6g}".format(self.step, self.loss[-1]), file=sys.stderr, end="\r", flush=True
            )

        def on_epoch_end(self, epoch, logs=None):
            figures = {name: float(value) for name, value in (logs or {}).items()}
            figures.pop("lr", None)
            figures.pop("learning_rate", None)
            self.epochs.append(figures)

        def on_train_end(self, logs=None):
            print(file=sys.stderr)

    return Watch()


def learning_rate_of(optimizer):
    """The rate of the coming step, a tensor or variable, without a legacy optimizer's own decay."""
    rate = (
        optimizer._get_hyper("learning_rate") if hasattr(optimizer, "_get_hyper") else optimizer.learning_rate
    )
    if callable(rate) and not hasattr(rate, "dtype"):
        rate = rate(optimizer.iterations)
    return rate


def install_masks(keras, layers, batch, seed, described):
    """Makes every Dropout drop by masks drawn from the seed.

    Args:
        keras: The module.
        layers: The model's.
        batch: Examples in a full batch.
        seed: The trace's.
        described: Filled with the rate and the mask's shape by layer.

    Returns:
        Functions of the step's number that set the masks.

    Raises:
        RecordError: A layer that draws random numbers in another way.
    """
    import tensorflow

    setters = []
    for layer in layers:
        if not RANDOM_LAYERS.search(type(layer).__name__):
            continue
        if type(layer).__name__ != "Dropout":
            raise RecordError(
                'layer "{}" ({}) draws random numbers that are not recorded yet: only Dropout\'s are'.format(
                    layer.name, type(layer).__name__
                )
            )
        shape = [batch] + list(layer.output.shape)[1:]
        if getattr(layer, "noise_shape", None) is not None:
            shape = [whole if asked is None else asked for whole, asked in zip(shape, layer.noise_shape)]
            if shape[0] != batch:
                raise RecordError(
                    'layer "{}" drops the same of every example (noise_shape {}): not recorded yet'.format(
                        layer.name, tuple(layer.noise_shape)
                    )
                )
        described[layer.name] = {"rate": layer.rate, "shape": shape}
        kept = tensorflow.Variable(np.ones(shape, bool), trainable=False)

        def call(inputs, training=None, kept=kept, rate=layer.rate):
            if not training:
                return inputs
            scaled = inputs * (1 / (1 - rate))
            return tensorflow.where(
                kept[: tensorflow.shape(inputs)[0]], scaled, tensorflow.zeros_like(scaled)
            )

        def set_mask(step, name=layer.name, shape=shape, rate=layer.rate, kept=kept):
            kept.assign(dropout_mask(seed, name, step, shape, rate))

        layer.call = call
        setters.append(set_mask)
    return setters


def fit_arguments(keras, spec):
    """What `--fit WHERE:FUNCTION` returns: {"callbacks": [...], "class_weight": {...}}, both optional.

    Raises:
        RecordError: The function fails or returns anything else.
    """
    given = {}
    if spec:
        builder = load_builder(spec)
        try:
            given = builder(keras) if inspect.signature(builder).parameters else builder()
        except Exception as error:
            raise RecordError(
                "--fit {}: the function failed: {}".format(spec, describe_error(error))
            ) from error
        if not isinstance(given, dict) or set(given) - {"callbacks", "class_weight"}:
            raise RecordError("--fit {}: expected a dict of callbacks and class_weight".format(spec))
    return {
        "callbacks": list(given.get("callbacks") or []),
        "class_weight": dict(given.get("class_weight") or {}),
    }


def target_form(model):
    """How the loss takes its targets: "labels" `(N,)`, "one_hot" `(N, classes)` or "binary" `(N, 1)`."""
    name = describe_loss(model.loss)["name"]
    if name.startswith("sparse"):
        return "labels"
    return "binary" if list(model.outputs[0].shape)[-1] == 1 else "one_hot"


def to_targets(labels, form, model, dtype):
    """Labels `(N,)` in the form the loss takes."""
    if form == "labels":
        return labels
    if form == "binary":
        return labels.reshape(-1, 1).astype(dtype)
    return np.eye(list(model.outputs[0].shape)[-1], dtype=dtype)[labels]


def draw_data(model, input_shape, store, arguments, dtype):
    """Draws examples, labels and, where asked, sample weights, for training and validation."""
    units = list(model.outputs[0].shape)[-1]
    label_rule = {"distribution": "labels", "classes": max(units, 2)}
    data = {}
    for part, count in (("fit", arguments.examples), ("validation", arguments.validation_examples)):
        x = store.add_drawn(
            part + "/x", input_rule(arguments.input_range), [count] + list(input_shape), dtype
        )
        y = store.add_drawn(part + "/labels", label_rule, [count], "int64")
        weights = None
        if arguments.sample_weights:
            weights = store.add_drawn(part + "/sample_weight", SAMPLE_WEIGHT_RULE, [count], dtype)
        data[part] = (x, y, weights)
    return data


def read_data(path, store, dtype):
    """Reads `--data FILE.npz`: x, labels, x_val, labels_val, and sample_weight, sample_weight_val if there.

    Raises:
        RecordError: The file cannot be read, lacks an array, or their lengths differ.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        data = {}
        for part, ending in (("fit", ""), ("validation", "_val")):
            x, labels = arrays["x" + ending].astype(dtype), arrays["labels" + ending].astype("int64")
            weights = arrays.get("sample_weight" + ending)
            for name, array in (("labels", labels), ("sample_weight", weights)):
                if array is not None and array.shape != (len(x),):
                    raise RecordError(
                        "--data {}: {}{} is {}, x{} has {} examples".format(
                            path, name, ending, array.shape, ending, len(x)
                        )
                    )
            store.add_full(part + "/x", x)
            store.add_full(part + "/labels", labels)
            if weights is not None:
                weights = weights.astype(dtype)
                store.add_full(part + "/sample_weight", weights)
            data[part] = (x, labels, weights)
    except (OSError, ValueError) as error:
        raise RecordError("--data {} cannot be read: {}".format(path, error)) from error
    except KeyError as error:
        raise RecordError("--data {}: it holds no array {}".format(path, error)) from error
    return data


def describe_object(thing):
    """The class and the configuration of an optimizer, regulariser or constraint."""
    return {"class": type(thing).__name__, "config": plain(thing.get_config())}


def describe_loss(loss):
    """The name of a loss in Keras's snake case, and its configuration.

    Raises:
        RecordError: Several losses, or a function of the caller's own.
    """
    if isinstance(loss, str):
        name, config = loss, {}
    elif hasattr(loss, "get_config"):
        name, config = type(loss).__name__, plain(loss.get_config())
    elif callable(loss):
        name, config = loss.__name__, {}
    else:
        raise RecordError(
            "the model is compiled with {}: one loss is recorded, by name or object".format(loss)
        )
    name = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return {
        "name": name,
        "config": {key: value for key, value in config.items() if key not in ("fn", "name")},
    }


def describe_callback(callback):
    """A callback's class and the attributes it decides by.

    Raises:
        RecordError: A callback that is not known, and may change the training in its own way.
    """
    name = type(callback).__name__
    if name in IDLE_CALLBACKS:
        return {"class": name, "config": {}}
    if name == SCHEDULER:
        return {"class": name, "config": {"rates": given_rates(callback)}}
    if name not in CALLBACK_ATTRIBUTES:
        raise RecordError(
            "callback {}: what it does to the training cannot be recorded (known: {})".format(
                name, ", ".join(sorted({SCHEDULER, *CALLBACK_ATTRIBUTES, *IDLE_CALLBACKS}))
            )
        )
    config = {key: getattr(callback, key) for key in CALLBACK_ATTRIBUTES[name] if hasattr(callback, key)}
    if name == "EarlyStopping":
        # Keras keeps the sign of the direction in it.
        config["min_delta"] = abs(config["min_delta"])
        direction = (
            {"less": "min", "greater": "max"}.get(getattr(callback.monitor_op, "__name__", ""))
            if callable(getattr(callback, "monitor_op", None))
            else None
        )
        config["mode"] = config.get("mode") or direction or "auto"
    return {"class": name, "config": plain(config)}


def given_rates(scheduler):
    """The rates that a LearningRateScheduler gives, one an epoch: empty now, and filled while it is asked."""
    rates, schedule = [], scheduler.schedule

    def listened(*arguments):
        # Keras gives the epoch and the present rate, and on a TypeError the epoch alone.
        rate = schedule(*arguments)
        rates.append(float(rate))
        return rate

    scheduler.schedule = listened
    return rates


def weight_rules(layers, ending):
    """The regularisers or constraints of every weight that has one, by "layer/weight".

    Raises:
        RecordError: A regulariser of a layer's activity.
    """
    rules = {}
    for layer in layers:
        if ending == "_regularizer" and getattr(layer, "activity_regularizer", None) is not None:
            raise RecordError('layer "{}" has an activity regularizer: not recorded yet'.format(layer.name))
        for name in short_names(layer):
            rule = getattr(layer, name + ending, None)
            if rule is not None:
                rules["{}/{}".format(layer.name, name)] = describe_object(rule)
    return rules


def plain(thing):
    """What JSON can hold of a configuration: numpy's and Keras's numbers as Python's."""
    if isinstance(thing, dict):
        return {str(name): plain(value) for name, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [plain(value) for value in thing]
    if thing is None or isinstance(thing, (bool, int, str)):
        return thing
    if isinstance(thing, (float, np.floating, np.integer)) or hasattr(thing, "numpy"):
        number = float(np.asarray(thing))
        return number if math.isfinite(number) else str(number)
    return str(thing)


def seed_everything(seed):
    """Seeds what a model's own initialisers draw from (`--weights model`)."""
    import tensorflow

    random.seed(seed)
    np.random.seed(seed)
    tensorflow.random.set_seed(seed)


def birth_certificate(keras, package, seed, command):
    """Who made the trace, with what, and how it is made again."""
    import tensorflow

    return {
        "generator": generator_path(),
        "command": command,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seed": seed,
        "backend": "tensorflow, {}".format(
            "gpu" if tensorflow.config.list_physical_devices("GPU") else "cpu"
        ),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "tensorflow": tensorflow.__version__,
            "keras_package": package,
            "keras": keras_version(keras),
        },
    }


def generator_path():
    """This file as seen from the working folder, or its bare name when it lies elsewhere."""
    path = os.path.relpath(os.path.abspath(__file__))
    return os.path.basename(path) if path.startswith(os.pardir) else path


def readable_json(thing):
    """Indented JSON, with lists of plain values on one line: a shape is read at a glance."""
    text = json.dumps(thing, indent=1, allow_nan=False)
    return (
        re.sub(r"\[\n([^\[\]{}]*)\n\s*\]", lambda match: "[" + " ".join(match.group(1).split()) + "]", text)
        + "\n"
    )


def write_trace(folder, trace, arrays):
    """Writes a trace folder, whole or not at all.

    Raises:
        RecordError: The folder cannot be written.
    """
    folder = os.path.abspath(folder)
    building = "{}.building-{}".format(folder, os.getpid())
    try:
        os.makedirs(building)
        np.savez_compressed(os.path.join(building, ARRAYS_FILE), **arrays)
        with open(os.path.join(building, TRACE_FILE), "w", encoding="utf-8") as file:
            file.write(readable_json(trace))
        # Renaming onto an empty folder replaces it; onto a full one it fails.
        os.rename(building, folder)
    except OSError as error:
        raise RecordError("cannot write {}: {}".format(folder, error)) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


# --- The command ------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def error(self, message):
        raise RecordError(message + " (see --help)")


def whole_number(least):
    """An argparse type: an integer of at least `least`, below 2**32."""

    def parse(text):
        number = int(text)
        if not least <= number < 2**32:
            raise argparse.ArgumentTypeError("{} is not in {} ... 2**32 - 1".format(number, least))
        return number

    parse.__name__ = "whole number"
    return parse


def axis_lengths(text):
    """An argparse type: `67,45,3` or `67x45x3` to a list of numbers."""
    numbers = [int(part) for part in text.replace("x", ",").split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("{} has an axis shorter than 1".format(text))
    return numbers


def value_range(text):
    """An argparse type: `0,255` to its two numbers."""
    low, high = (float(part) for part in text.split(","))
    if not low < high:
        raise argparse.ArgumentTypeError("{} is no range: the lower number comes first".format(text))
    return [low, high]


def kept(text):
    """An argparse type: `full` to None, or a number."""
    return None if text == "full" else whole_number(1)(text)


def parse_arguments(arguments):
    """Reads the command line.

    Raises:
        RecordError: An argument is wrong.
    """
    parser = Parser(
        prog="record.py", description="Record a Keras model into a trace folder.", allow_abbrev=False
    )
    parser.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="WHERE:FUNCTION",
        help="package.module:function or path/file.py:function; the function takes nothing, or the keras "
        "module, and returns the model; may be given several times",
    )
    parser.add_argument("--out", required=True, help="the trace folder; with several traces, their parent")
    parser.add_argument("--profile", choices=PROFILES, default="tf2.4", help="the Keras generation (tf2.4)")
    parser.add_argument("--keras", choices=PACKAGES, help="the package (by profile)")
    parser.add_argument(
        "--dtype", action="append", choices=DTYPES, help="float32; may be given several times"
    )
    parser.add_argument("--seed", action="append", type=whole_number(0), help="0; may be given several times")
    # With one example nothing would show that the outputs depend on the input.
    parser.add_argument("--batch", type=whole_number(2), default=2, help="examples, at least 2 (2)")
    parser.add_argument(
        "--input-shape", type=axis_lengths, help="such as 64,64,3, where the model states none"
    )
    parser.add_argument(
        "--input-range",
        type=value_range,
        default=INPUT_RANGE,
        help="of drawn inputs, such as 0,255 for a model that rescales by itself (0,1)",
    )
    parser.add_argument(
        "--keep", type=kept, default=2048, help="values kept of each activation, or full (2048)"
    )
    parser.add_argument(
        "--epochs", type=whole_number(0), default=0, help="record a training of the compiled model, too (0)"
    )
    parser.add_argument(
        "--fit",
        metavar="WHERE:FUNCTION",
        help="a function that returns fit's callbacks and class_weight as a dict",
    )
    parser.add_argument(
        "--data", metavar="FILE.npz", help="x, labels, x_val, labels_val instead of drawn ones"
    )
    parser.add_argument("--examples", type=whole_number(2), default=20, help="drawn to train on (20)")
    parser.add_argument("--validation-examples", type=whole_number(2), default=12, help="(12)")
    parser.add_argument("--sample-weights", action="store_true", help="draw sample weights, too")
    parser.add_argument("--train-batch", type=whole_number(1), default=8, help="examples a step (8)")
    parser.add_argument(
        "--update-steps",
        type=whole_number(1),
        default=3,
        help="first steps recorded whole, with gradients (3)",
    )
    parser.add_argument(
        "--at-step", action="append", type=whole_number(1), default=[], help="a later step; may be repeated"
    )
    parser.add_argument(
        "--weights", choices=("seed", "model"), default="seed", help="drawn, or the model's own (seed)"
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="drawn BatchNormalization statistics suit the drawn inputs: for deep nets",
    )
    parsed = parser.parse_args(arguments)
    if parsed.calibrate and parsed.weights != "seed":
        raise RecordError("--calibrate beside --weights model: the model's own statistics are kept")
    parsed.dtype = parsed.dtype or ["float32"]
    parsed.seed = parsed.seed or [0]
    parsed.command = " ".join(["python", generator_path()] + [shlex.quote(word) for word in arguments])
    return parsed


def plan_folders(arguments):
    """The traces to write: (model, dtype, seed, folder) of each.

    Raises:
        RecordError: A folder is there already and not empty, or two traces would share one.
    """
    plan, folders = [], set()
    for spec in arguments.model:
        for dtype in arguments.dtype:
            for seed in arguments.seed:
                name = "{}-{}-{}".format(trace_name(spec), arguments.profile, dtype)
                name += "-seed{}".format(seed) if len(arguments.seed) > 1 else ""
                plan.append((spec, dtype, seed, os.path.join(arguments.out, name)))
    if len(plan) == 1:
        plan = [plan[0][:3] + (arguments.out,)]
    for _, _, _, folder in plan:
        if folder in folders:
            raise RecordError("two traces would be written to {}: record them one by one".format(folder))
        folders.add(folder)
        if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
            raise RecordError(
                "--out {} exists and is not an empty folder: remove it, or name another".format(folder)
            )
    return plan


def run(arguments):
    """Records every model in every dtype with every seed; one Keras import serves them all."""
    arguments = parse_arguments(arguments)
    plan = plan_folders(arguments)
    # A script's own folder stands first on the path, where its neighbours would hide the caller's modules.
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        sys.path.pop(0)
    sys.path.insert(0, os.getcwd())
    package, keras = load_keras(arguments.keras, arguments.profile)
    for spec, dtype, seed, folder in plan:
        trace, arrays = record_model(keras, package, spec, arguments, dtype, seed)
        write_trace(folder, trace, arrays)
        print("{}: {} layers, {}, seed {}".format(folder, len(trace["layers"]), dtype, seed), flush=True)


def main():
    """The command: exits 0, 2 on bad input, 130 or 143 when stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        run(sys.argv[1:])
    except RecordError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
