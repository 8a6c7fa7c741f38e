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

SCHEMA_VERSION = 1
TRACE_FILE = "trace.json"
ARRAYS_FILE = "arrays.npz"

PROFILES = ("tf2.4", "keras3")
PACKAGES = ("tf_keras", "keras", "tensorflow.keras")
DTYPES = ("float32", "float64")
MODEL_FILE_ENDINGS = (".h5", ".hdf5", ".keras")

EXIT_BAD_INPUT = 2

# Images in [0, 1], as the models read them after rescaling.
INPUT_RULE = {"distribution": "uniform", "low": 0.0, "high": 1.0}
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
        rule: {"distribution": "uniform", "low", "high"}, or {"distribution": "away", "center", "nearest",
            "farthest"}: on either side of the centre, never nearer to it than "nearest".
        seed: The trace's.
        name: The array's logical name.
        shape: Its shape.
        dtype: What it is cast to, "float32" or "float64".

    Raises:
        ValueError: A distribution this version does not know.
    """
    state = random_state(seed, name)
    if rule["distribution"] == "uniform":
        numbers = rule["low"] + (rule["high"] - rule["low"]) * state.random_sample(shape)
    elif rule["distribution"] == "away":
        distance = rule["nearest"] + (rule["farthest"] - rule["nearest"]) * state.random_sample(shape)
        numbers = rule["center"] + np.where(state.random_sample(shape) < 0.5, -distance, distance)
    else:
        raise ValueError('unknown distribution "{}"'.format(rule["distribution"]))
    return np.asarray(numbers).astype(dtype)


def weight_rule(name, shape):
    """How a weight is drawn: kernels with He's variance, 2 / fan_in, everything else near its start.

    Args:
        name: Keras's short name, such as "kernel".
        shape: In Keras's order.
    """
    if name in RULE_OF_WEIGHT or len(shape) < 2:
        return dict(RULE_OF_WEIGHT.get(name, RULE_OF_WEIGHT["bias"]))
    # A depthwise kernel is (h, w, in, multiplier): each filter sees one channel.
    fan_in = int(np.prod(shape[:-2] if name == "depthwise_kernel" else shape[:-1]))
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


def record_inputs(model, store, batch, input_shape, dtype):
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
        arrays.append(store.add_drawn(array_name, INPUT_RULE, [batch] + shape, dtype))
        described.append({"name": name, "shape": [batch] + shape, "array": array_name})
    return described, arrays


def record_weights(layer, store, weights):
    """Gives a layer drawn weights, or keeps its own, and describes it (all but its output shape).

    Args:
        layer: A Keras layer.
        store: Where the arrays go.
        weights: "seed": drawn. "model": the layer's own, kept in full.
    """
    names = short_names(layer)
    trainable = {id(weight) for weight in layer.trainable_weights}
    described, arrays = [], []
    counts = {True: 0, False: 0}
    for name, weight, own in zip(names, layer.weights, layer.get_weights()):
        array, array_name = np.asarray(own), "weights/{}/{}".format(layer.name, name)
        if weights == "seed" and array.dtype.kind == "f":
            rule = weight_rule(name, array.shape)
            array = store.add_drawn(array_name, rule, list(array.shape), array.dtype.name)
        else:
            store.add_full(array_name, array)
        is_trainable = id(weight) in trainable
        counts[is_trainable] += int(array.size)
        arrays.append(array)
        described.append({"name": name, "shape": list(array.shape), "trainable": is_trainable})
    layer.set_weights(arrays)
    return {
        "name": layer.name,
        "class": type(layer).__name__,
        "trainable_parameters": counts[True],
        "non_trainable_parameters": counts[False],
        "weights": described,
    }


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
    inputs, input_arrays = record_inputs(model, store, arguments.batch, arguments.input_shape, dtype)
    layers = layers_of(model)
    if not layers:
        raise RecordError("--model {}: the model has no layers".format(spec))
    described = [record_weights(layer, store, arguments.weights) for layer in layers]

    probe = keras.Model(inputs=model.inputs, outputs=[layer.output for layer in layers])
    try:
        activations = probe(input_arrays, training=False)
    except Exception as error:
        raise RecordError("--model {}: running it failed: {}".format(spec, describe_error(error))) from error
    if not isinstance(activations, (list, tuple)):
        activations = [activations]
    for layer, activation in zip(described, activations):
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
    return trace, store.stored


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
        "--keep", type=kept, default=2048, help="values kept of each activation, or full (2048)"
    )
    parser.add_argument(
        "--weights", choices=("seed", "model"), default="seed", help="drawn, or the model's own (seed)"
    )
    parsed = parser.parse_args(arguments)
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
