"""The recorder of model files: loads one in Keras, runs it, and writes what every layer gave into a folder.

One standalone file. It needs numpy and a keras, tf_keras or tf.keras on TensorFlow 2, imports nothing of this
project and keeps to Python 3.7 syntax, so that it can be copied into the OLD environment a file came from:

    python record_file.py model.h5 --keras tf_keras --extreme --out trace

Written are `trace.json` and `arrays.npz`: the drawn inputs; the output of every call of every layer, inner
models' included, in float32 and float64; and the gradients of a weighted sum of the outputs. Of large outputs
the values at seeded places are kept, and the norms of the whole. Layers run as in inference.

What is in a file is looked at before Keras loads it: one that holds code, a Lambda or a class that is not
Keras's own, is refused unless `--trust-code` is given. Keras 2 runs a Lambda's code in an .h5 file whatever
its safe mode says.
"""

# Python 3.7 has no strict zip.
# ruff: noqa: B905, RUF005

import argparse
import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import zipfile
import zlib

import numpy as np

SCHEMA_VERSION = 1
TRACE_FILE = "trace.json"
ARRAYS_FILE = "arrays.npz"
PACKAGES = ("keras", "tf_keras", "tensorflow.keras")
RANDOM, EXTREME = "random", "extreme"
EXIT_BAD_INPUT = 2

# A model without fixed sizes gets the first of these that it accepts: uneven ones show more.
SIZES = ((45, 61), (64, 96), (96, 128), (224, 224), (299, 299))
LENGTHS = (13, 32, 100)
# Lowest and highest value, and the share of noise. What the model was trained with no file says: the first
# with which the outputs differ between examples is taken.
DRAWINGS = tuple(
    (low, high, noise)
    for noise in (0.5, 0.1)
    for low, high in ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (0.0, 16.0), (0.0, 64.0), (0.0, 4.0))
)
LEAST_SPREAD = 0.01
# A probability above it leaves no gradient to compare.
MOST_CERTAIN = 0.999
# Images of noise alone look alike to a net: the rest of each value is of its block of so many pixels.
BLOCK_PIXELS = 8
LARGE = 10.0
LONGEST_CONFIG_BYTES = 100000000
LONGEST_GRAPH_BYTES = 2**30
LONGEST_REASON = 300
FLOATS = {"float16", "bfloat16", "float32", "float64"}

HOLDS_CODE = "the file holds code"
CANNOT_LOAD = "cannot load it"
STEP = "step: "
CODE_CLASSES = ("Lambda", "__lambda__", "TensorFlowOpLayer", "ClassMethod", "InstanceMethod", "__typespec__")
# tf.keras makes them of a bare function of tf; which one is looked at.
FUNCTION_CLASSES = ("TFOpLambda", "SlicingOpLambda")
PURE_FUNCTIONS = re.compile(
    r"(__operators__|math|nn|linalg|image)\.\w+$|"
    r"(cast|reshape|concat|stack|split|expand_dims|squeeze|transpose|tile|pad|shape|identity|where|slice|"
    r"gather|ones_like|zeros_like|clip_by_value|reverse|stop_gradient|compat\.v1\.\w*resize\w*)$"
)
# Of the config language itself, and internal classes that no public name leads to.
PLAIN_CLASSES = {
    "Functional",
    "Model",
    "Sequential",
    "InstanceProperty",
    "Policy",
    "DTypePolicy",
    "function",
    "TensorShape",
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__tuple__",
    "__ellipsis__",
    "slice",
}
HOMES = (
    "layers",
    "initializers",
    "regularizers",
    "constraints",
    "activations",
    "models",
    "random",
    "dtype_policies",
    "mixed_precision",
)
KERAS_MODULES = ("keras", "tf_keras", "tensorflow", "builtins")
# They give what they take, but in training.
IDLE_IN_INFERENCE = (
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
)
NOT_LOADED = ("compile_config", "build_config", "training_config", "optimizer_config")


class RecordError(Exception):
    """Bad input. The message is one line that names the thing and the remedy."""


# --- Drawing: used here to record, and by the reader to know the places of what was kept ------------------


def random_state(seed, name):
    """The stream of one array: its own, whatever else the trace holds.

    Args:
        seed: The trace's, 0 to 2**32 - 1.
        name: The array's logical name.
    """
    return np.random.RandomState([seed, zlib.crc32(name.encode("utf-8"))])


def draw_input(seed, name, shape, low, high, noise):
    """A batch of random inputs `(N, ...)`, float64 that float32 can hold.

    Images `(N, H, W, C)` are noise over blocks of one colour, and of different brightness, so that the
    examples differ for a net that averages.
    """
    state = random_state(seed, name)
    numbers = state.random_sample(shape)
    if len(shape) == 4:
        rows, columns = (np.arange(size) // BLOCK_PIXELS for size in shape[1:3])
        coarse = state.random_sample((shape[0], rows[-1] + 1, columns[-1] + 1, shape[3]))
        level = np.linspace(0.4, 1.0, shape[0]).reshape(-1, 1, 1, 1)
        numbers = level * ((1 - noise) * coarse[:, rows][:, :, columns] + noise * numbers)
    return (low + (high - low) * numbers).astype("float32").astype("float64")


def extreme_input(seed, name, shape, low, high, noise):
    """Four inputs: zeros; one value; values far out of the range, of both signs; the range's two ends."""
    del noise
    state = random_state(seed, "extreme/" + name)
    rest = tuple(shape[1:])
    ends = np.where(state.random_sample(rest) < 0.5, low, high)
    far = LARGE * high * (2 * state.random_sample(rest) - 1)
    whole = np.stack([np.zeros(rest), np.full(rest, high), far, ends])
    return whole.astype("float32").astype("float64")


def draw_tokens(seed, name, shape, count):
    """A batch of whole numbers 0 ... count - 1."""
    return np.floor(random_state(seed, name).random_sample(shape) * count).astype("float64")


def draw_cotangent(seed, name, shape):
    """What an output is weighted with before all are summed: on either side of zero, never near it."""
    state = random_state(seed, "cotangent/" + name)
    distance = 0.5 + state.random_sample(shape)
    numbers = np.where(state.random_sample(shape) < 0.5, -distance, distance)
    return numbers.astype("float32").astype("float64")


def rows_of(array, batch):
    """`(N, ...)` as `(N, values)`; an array that does not begin with the batch as one row."""
    starts_with_batch = array.ndim > 0 and array.shape[0] == batch
    return array.reshape(batch if starts_with_batch else 1, -1)


def sampled_places(seed, name, size, count):
    """The places of one example at which an output is kept, ascending; all where it has no more."""
    if size <= count:
        return np.arange(size)
    return np.sort(random_state(seed, "places/" + name).choice(size, count, replace=False))


def norms(rows):
    """The norm of every row, in float64."""
    return np.sqrt(np.sum(np.square(rows.astype("float64")), axis=1))


def checksum(array):
    """sha256 of an array's float32 little-endian bytes."""
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<f4").tobytes()).hexdigest()


def call_name(path, numbers):
    """How a call is called: "inner/conv", "inner#1/conv" in the second call of the inner model."""
    return "/".join(name if not number else f"{name}#{number}" for name, number in zip(path, numbers))


# --- What a file holds, before Keras sees it --------------------------------------------------------------


class ModelFile:
    """A model file, looked at without Keras.

    Args:
        path: An .h5, .hdf5 or .keras file whatever its suffix, a SavedModel folder, or an unzipped .keras.
        architecture: A JSON file for an .h5 of weights alone, or None.
        scratch: A folder for a copy with the suffix that Keras wants.

    Attributes:
        path: What Keras is to load.
        kind: "h5", "keras", "weights" or "saved_model".
        config: The model's {"class_name", "config"}.

    Raises:
        RecordError: It is none, or cannot be read.
    """

    def __init__(self, path, architecture, scratch):
        self.given = path
        if os.path.isdir(path):
            self.kind, self.path, text = self._folder(path, scratch)
        else:
            self.kind, self.path, text = self._file(path, scratch)
        if architecture is not None:
            if text is not None:
                raise RecordError(f"{path} holds a model, not weights alone: leave out --architecture")
            self.kind = "weights"
            text = read_bytes(architecture)
        if text is None:
            raise RecordError(f"{path} holds weights alone: give the model's JSON with --architecture")
        try:
            self.config = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{path}: the model's config is no JSON text: {error}") from error
        if not isinstance(self.config, dict):
            raise RecordError(f"{path}: the model's config is no JSON object")
        if self.kind == "saved_model":
            self.config = {key: self.config.get(key) for key in ("class_name", "config")}

    def _file(self, path, scratch):
        start = read_bytes(path, 8)
        if start.startswith(b"PK"):
            return "keras", with_suffix(path, ".keras", scratch), self._archive_config(path)
        if start.startswith(b"\x89HDF"):
            import h5py

            try:
                with h5py.File(path, "r") as file:
                    return "h5", with_suffix(path, ".h5", scratch), file.attrs.get("model_config")
            except OSError as error:
                raise RecordError(f"{path} is damaged: {error}") from error
        raise RecordError(f"{path} is neither an .h5 nor a .keras file")

    def _folder(self, path, scratch):
        metadata, graph = os.path.join(path, "keras_metadata.pb"), os.path.join(path, "saved_model.pb")
        if os.path.isfile(metadata):
            return "saved_model", path, saved_model_config(read_bytes(metadata), path)
        if os.path.isfile(graph):
            return "saved_model", path, older_saved_model_config(read_bytes(graph, LONGEST_GRAPH_BYTES), path)
        if os.path.isfile(os.path.join(path, "config.json")):
            zipped = os.path.join(scratch, "model.keras")
            with zipfile.ZipFile(zipped, "w") as archive:
                for name in ("config.json", "metadata.json", "model.weights.h5"):
                    if os.path.isfile(os.path.join(path, name)):
                        archive.write(os.path.join(path, name), name)
            return "keras", zipped, self._archive_config(zipped)
        raise RecordError(
            f"{path} holds no keras_metadata.pb, saved_model.pb or config.json: it is no model of Keras's"
        )

    @staticmethod
    def _archive_config(path):
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo("config.json").file_size > LONGEST_CONFIG_BYTES:
                    raise RecordError(f"{path}: its config.json is larger than any model's")
                return archive.read("config.json")
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise RecordError(f"{path} is damaged: {error}") from error


def read_bytes(path, most=LONGEST_CONFIG_BYTES):
    """The first bytes of a file.

    Raises:
        RecordError: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error


def with_suffix(path, suffix, scratch):
    """The path, or a link to it with the suffix by which Keras tells the formats."""
    if path.lower().endswith((suffix, ".hdf5") if suffix == ".h5" else suffix):
        return path
    link = os.path.join(scratch, "model" + suffix)
    os.symlink(os.path.abspath(path), link)
    return link


def saved_model_config(encoded, path):
    """The model's JSON text in keras_metadata.pb.

    Source: tf_keras protobuf/saved_metadata.proto: nodes (1) with their node_path (3) and metadata (5).
    """
    try:
        for node in protobuf_fields(encoded).get(1, []):
            fields = protobuf_fields(node)
            if fields.get(3) == [b"root"]:
                return fields[5][-1]
    except (IndexError, KeyError, TypeError) as error:
        raise RecordError(f"{path}: keras_metadata.pb is damaged") from error
    raise RecordError(f"{path}: keras_metadata.pb describes no model")


def older_saved_model_config(encoded, path):
    """The model's JSON text in saved_model.pb, where TF 2.0 to 2.4 wrote it.

    Source: tensorflow core/protobuf: the object graph (7) of the first meta graph (2), its first node (1),
    the metadata (3) of the user object (4).
    """
    try:
        fields = protobuf_fields(encoded)
        for number in (2, 7, 1, 4):
            fields = protobuf_fields(fields[number][0])
        if fields[1][-1].startswith(b"_tf_keras_"):
            return fields[3][-1]
    except (IndexError, KeyError, TypeError):
        pass
    raise RecordError(f"{path}: saved_model.pb describes no Keras model")


def protobuf_fields(encoded):
    """The values of a protocol buffer message's fields by their numbers.

    Raises:
        IndexError: It is damaged.
    """
    fields, place = {}, 0

    def varint(place):
        value, shift = 0, 0
        while True:
            byte = encoded[place]
            value |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if byte < 0x80:
                return value, place

    while place < len(encoded):
        tag, place = varint(place)
        if tag & 7 == 0:
            value, place = varint(place)
        else:
            length, place = varint(place) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], place)
            value = encoded[place : place + length]
            place += length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def objects_in(config, where="the model"):
    """Every {"class_name", ...} in a config with the name of the layer around it, depth first."""
    if isinstance(config, dict):
        inside = config.get("config")
        name = config.get("name") or (inside.get("name") if isinstance(inside, dict) else None)
        where = name if isinstance(name, str) and "class_name" in config else where
        if isinstance(config.get("class_name"), str):
            yield where, config
        for key, value in config.items():
            if key not in NOT_LOADED:
                yield from objects_in(value, where)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from objects_in(value, where)


def code_in(config):
    """What in a config would run code of its author's, in words: names of layers and their classes."""
    found = []
    for where, thing in objects_in(config):
        package, _, name = thing["class_name"].rpartition(">")
        inside = thing.get("config")
        registered = thing.get("registered_name")
        module = thing.get("module")
        if isinstance(registered, str):
            package = package or registered.rpartition(">")[0]
        if isinstance(module, str) and module.split(".")[0] not in KERAS_MODULES:
            package = package or module
        if name in CODE_CLASSES:
            found.append(f'"{where}" ({name})')
        elif name in FUNCTION_CLASSES:
            function = inside.get("function") if isinstance(inside, dict) else None
            if name == "TFOpLambda" and not PURE_FUNCTIONS.match(str(function)):
                found.append(f'"{where}" (tf.{function})')
        elif package and package != "Keras":
            found.append(f'"{where}" ({package}>{name})')
    return list(dict.fromkeys(found))


def strange_in(config, keras):
    """What in a config is of a class that is not this Keras's own, in words."""
    known = set(PLAIN_CLASSES) | set(FUNCTION_CLASSES) | set(CODE_CLASSES) | set(custom_objects(keras))
    for home in HOMES:
        known |= set(dir(getattr(keras, home, None)))
    found = []
    for where, thing in objects_in(config):
        name = thing["class_name"].rpartition(">")[2]
        is_operation = str(thing.get("module")).startswith("keras.src.ops.")
        function = thing.get("config") if name == "function" else None
        if (name not in known and not is_operation) or (isinstance(function, str) and function not in known):
            found.append(f'"{where}" ({name if function is None else function})')
    return list(dict.fromkeys(found))


def refuse(found, what, remedy):
    """Refuses a file.

    Raises:
        RecordError: `found` names anything.
    """
    if found:
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise RecordError(f"{what}: {', '.join(found[:5])}{more}; {remedy}")


# --- Keras ------------------------------------------------------------------------------------------------


def load_keras(package):
    """Imports a Keras.

    Args:
        package: One of PACKAGES, or "auto": the first that is installed.

    Raises:
        RecordError: It is not installed, or runs no TensorFlow 2.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # Its gradient of a 1 x 1 convolution with strides crashes the process (TF 2.21 on x86).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if package == "auto":
        there = [name for name in PACKAGES if importlib.util.find_spec(name.split(".")[0])]
        if not there:
            raise RecordError(f"{sys.executable} has no Keras: install one, or name another interpreter")
        package = there[0]
    try:
        with quiet_stderr():
            # tensorflow.keras is an attribute, loaded on use, and no importable module since TF 2.16.
            root = importlib.import_module(package.split(".")[0])
            keras = root.keras if package == "tensorflow.keras" else root
            import tensorflow

            importlib.import_module(root.__name__ + ".layers" if root is keras else "tensorflow")
    except Exception as error:
        raise RecordError(f"{package} cannot be imported: {describe_error(error)}") from error
    if not tensorflow.executing_eagerly():
        raise RecordError(f"TensorFlow {tensorflow.__version__} does not run eagerly: 2.2 or later is needed")
    return package, keras


def keras_version(keras):
    """Keras's version. Before Keras 3, a tf.keras that states none has TensorFlow's."""
    import tensorflow

    return getattr(keras, "__version__", tensorflow.__version__)


@contextlib.contextmanager
def quiet_stderr():
    """Keeps TensorFlow's native start-up lines, which no log level turns off, away from the user's screen."""
    sys.stderr.flush()
    kept, hidden = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(hidden, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(hidden)


def describe_error(error):
    """An error in one line of bounded length."""
    # Keras 3 writes parts of its messages in bold.
    plain = re.sub("\x1b\\[[0-9;]*m", "", f"{type(error).__name__}: {error}")
    text = " ".join(plain.split())
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"


def custom_objects(keras):
    """What files of Keras's own name and a loading Keras does not find: keras.applications' classes."""
    found = {"relu6": lambda tensor: keras.activations.relu(tensor, max_value=6.0)}
    # tf.keras is a name of it alone, under which no such module can be imported.
    package = keras.Model.__module__.split(".")[0]
    homes = {"convnext": ("LayerScale", "StochasticDepth"), "inception_resnet_v2": ("CustomScaleLayer",)}
    for home, names in homes.items():
        for place in (".src.applications.", ".applications."):
            try:
                module = importlib.import_module(package + place + home)
            except ImportError:
                continue
            for name in names:
                if hasattr(module, name):
                    found.setdefault(name, getattr(module, name))
    # The efficientnet package's, made for a Dropout whose noise_shape held no None.
    # What Keras 3 calls TensorFlow's own activations, in whose source they have these names.
    for name in ("softmax", "log_softmax"):
        if hasattr(keras.activations, name):
            found[f"{name}_v2"] = getattr(keras.activations, name)
    found["FixedDropout"] = type("FixedDropout", (keras.layers.Dropout,), {})
    return found


def load_model(keras, file, trust_code, weights=None):
    """The model of a file, not compiled.

    Args:
        keras: The module.
        file: The file.
        trust_code: Whether code that it holds may be run.
        weights: An .npz of the file's weights, for a Keras that cannot read them itself.

    Raises:
        RecordError: This Keras cannot load it.
    """
    more = {"custom_objects": custom_objects(keras)}
    unsafe = {}
    if trust_code and "safe_mode" in inspect.signature(keras.models.load_model).parameters:
        unsafe = {"safe_mode": False}
    try:
        with quiet_stderr():
            if weights is not None:
                model = model_of(keras, file.config, trust_code)
                set_weights_of_layers(keras, model, weights)
                take_up_weights(keras, model)
                return model
            if file.kind in ("h5", "keras"):
                model = keras.models.load_model(file.path, compile=False, **dict(more, **unsafe))
                take_up_weights(keras, model)
                return model
            model = model_of(keras, file.config, trust_code)
            if file.kind == "weights":
                model.load_weights(file.path)
            else:
                # The SavedModel's own graphs are programs, too: the layers come from the config, and the
                # checkpoint only fills their weights.
                status = model.load_weights(os.path.join(file.path, "variables", "variables"))
                status.assert_existing_objects_matched().expect_partial()
            take_up_weights(keras, model)
            return model
    except Exception as error:
        version = f"{keras.__name__} {keras_version(keras)}"
        raise RecordError(f"{version} {CANNOT_LOAD}: {describe_error(error)}") from error


def set_weights_of_layers(keras, model, path):
    """Gives every layer its weights from an .npz.

    Raises:
        ValueError: They are not those of the model's layers.
    """
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    # A name of a layer may hold anything: the arrays go by numbers.
    left = {tuple(each["path"]): each["arrays"] for each in json.loads(str(arrays.pop("layers")))}
    for here, layer in layers_in(keras, model):
        if here in left:
            layer.set_weights([arrays[name] for name in left.pop(here)])
    if left:
        raise ValueError(f"the model has no layer {'/'.join(min(left))}")


def in_shapes(keras, model, shapes, trust_code):
    """The same model with the same weights, made for inputs of other sizes.

    Args:
        keras: The module.
        model: Loaded.
        shapes: Of every input without the batch axis, None for a size that stays open.
        trust_code: Whether code that it holds may be run.

    Raises:
        RecordError: Its layers do not fit such inputs.
    """
    stated = json.loads(model.to_json())
    names = [tensor.name.split(":")[0] for tensor in inputs_of(model)]
    state_shapes(stated, dict(zip(names, shapes)), [list(shape) for shape in shapes])
    try:
        twin = model_of(keras, stated, trust_code)
        twin.set_weights(model.get_weights())
        take_up_weights(keras, twin)
    except Exception as error:
        given = " and ".join(str(list(shape)) for shape in shapes)
        raise RecordError(
            f"--input-shape {given}: the model cannot be made so: {describe_error(error)}"
        ) from error
    return twin


def state_shapes(model, by_name, in_order):
    """Puts shapes into a model's config, in place; models inside are left open but for their last axis."""
    layers = model["config"]["layers"]
    for key in ("build_config", "build_input_shape"):
        model.pop(key, None)
        model["config"].pop(key, None)
    first = True
    for layer in layers:
        config = layer["config"]
        layer.pop("build_config", None)
        if isinstance(config, dict) and "layers" in config:
            state_shapes(layer, {}, [])
        for key in ("batch_shape", "batch_input_shape"):
            if isinstance(config, dict) and isinstance(config.get(key), list):
                own = by_name.get(config.get("name")) or (in_order[0] if first and in_order else None)
                opened = [None] * (len(config[key]) - 2) + config[key][-1:]
                config[key] = [None] + (list(own) if own is not None else opened)
                first = False


def model_of(keras, config, trust_code):
    """The model of a config, with weights of its own."""
    if trust_code and hasattr(keras, "config") and hasattr(keras.config, "enable_unsafe_deserialization"):
        keras.config.enable_unsafe_deserialization()
    return keras.models.model_from_json(json.dumps(config), custom_objects=custom_objects(keras))


def other_dtypes(keras, model):
    """The dtypes other than float32 that layers of a model compute in, such as mixed precision's float16."""
    dtypes = [getattr(layer, "compute_dtype", None) or "float32" for _, layer in layers_in(keras, model)]
    return sorted(set(dtypes) & (FLOATS - {"float32"}))


def in_dtype(keras, model, dtype, trust_code):
    """The same model with the same weights, every layer of it in one dtype."""
    keras.backend.set_floatx(dtype)
    if hasattr(keras, "config"):
        keras.config.set_dtype_policy(dtype)

    def widened(thing):
        if isinstance(thing, dict) and thing.get("class_name") in IDLE_IN_INFERENCE:
            # tf_keras cannot build them in float64.
            name = thing["config"]["name"]
            idle = {"name": name, "activation": "linear", "dtype": dtype}
            return dict(thing, class_name="Activation", config=idle)
        if isinstance(thing, dict):
            return {key: widened(value) for key, value in thing.items()}
        if isinstance(thing, list):
            return [widened(value) for value in thing]
        return dtype if isinstance(thing, str) and thing.replace("mixed_", "") in FLOATS else thing

    twin = model_of(keras, widened(json.loads(model.to_json())), trust_code)
    twin.set_weights(model.get_weights())
    take_up_weights(keras, twin)
    return twin


def take_up_weights(keras, model):
    """Has layers that compute with copies of their weights, as Normalization does, make these anew.

    Keras 3.15 does not: in a model inside a model of an .h5 (legacy/saving/legacy_h5_format.py), and in
    `set_weights`. There Normalization goes on with mean 0 and variance 1, and nothing says so.
    """
    for _, layer in layers_in(keras, model):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def inputs_of(model):
    """The symbolic inputs.

    Raises:
        RecordError: A subclassed model, or a Sequential that was never built.
    """
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise RecordError("the model states no input shape: build it with one and save it again")
    return list(inputs)


def flat(tensors):
    """One tensor, or several in any container, as a list."""
    if isinstance(tensors, dict):
        tensors = [tensors[key] for key in sorted(tensors)]
    if isinstance(tensors, (list, tuple)):
        return [each for tensor in tensors for each in flat(tensor)]
    return [tensors]


def layers_in(keras, model, path=()):
    """(path, layer) of every layer, those of inner models behind the model, without the inputs."""
    for layer in model.layers:
        if type(layer).__name__ == "InputLayer":
            continue
        here = path + (layer.name,)
        yield here, layer
        if isinstance(layer, keras.Model):
            yield from layers_in(keras, layer, here)


def weights_in(keras, model):
    """(path, number in the layer, variable) of every weight of a layer that is no model, each once."""
    seen = set()
    for path, layer in layers_in(keras, model):
        if not isinstance(layer, keras.Model) and id(layer) not in seen:
            seen.add(id(layer))
            for number, weight in enumerate(layer.weights):
                yield path, number, weight


def short_name(weight):
    """Keras's name of a weight without the layer's: "kernel", not "conv1/kernel:0"."""
    return getattr(weight, "path", weight.name).split(":")[0].split("/")[-1]


# --- Watching ---------------------------------------------------------------------------------------------


class Watch:
    """Sees every call of every layer of a model.

    A call has a path, and for each name on it the number of the call, as the file counts them: of a shared
    layer they need not be made in that order.

    Args:
        keras: The module.
        model: Its layers are watched from now on.
    """

    def __init__(self, keras, model):
        self.saw = None
        self.frames = []
        seen = set()
        for layer in [model] + [layer for _, layer in layers_in(keras, model)] + operations_in(model):
            if id(layer) not in seen:
                seen.add(id(layer))
                is_outermost = layer is model
                orders = call_orders(layer) if isinstance(layer, keras.Model) else None
                layer.call = self._watched(layer, layer.call, orders, is_outermost)

    @contextlib.contextmanager
    def told(self, saw):
        """Calls `saw(path, numbers, class name, outputs)` behind every call, until the end of the block."""
        self.saw, self.frames = saw, []
        try:
            yield
        finally:
            self.saw = None

    def _watched(self, layer, own, orders, is_outermost):
        def call(*arguments, **keywords):
            if self.saw is None or (not self.frames and not is_outermost):
                return own(*arguments, **keywords)
            path, numbers = (), ()
            if not is_outermost:
                above_path, above_numbers, above_orders, made = self.frames[-1]
                count = made.get(layer.name, 0)
                made[layer.name] = count + 1
                order = above_orders.get(layer.name, [])
                path = above_path + (layer.name,)
                numbers = above_numbers + (order[count] if count < len(order) else count,)
            # A layer that is no model is one thing: what it calls inside is not looked at.
            self.frames.append((path, numbers, orders, {}))
            was, self.saw = self.saw, self.saw if orders is not None else None
            try:
                outputs = own(*arguments, **keywords)
            finally:
                self.saw = was
                self.frames.pop()
            if not is_outermost:
                self.saw(path, numbers, type(layer).__name__, flat(outputs))
            return outputs

        return call


def graph_behind(model):
    """What holds the nodes: of a Sequential of Keras 3 the Functional model behind it."""
    return getattr(model, "_functional", None) or model


def operations_in(model):
    """Operations of Keras 3 that are no layers, such as `x + 1`."""
    operations = getattr(graph_behind(model), "_operations", None) or []
    found = []
    for operation in operations:
        if hasattr(operation, "layers"):
            found += operations_in(operation)
        elif not hasattr(operation, "weights"):
            found.append(operation)
    return found


def call_orders(model):
    """Of each layer of a model the numbers of its calls, in the order in which the model makes them."""
    by_depth = getattr(graph_behind(model), "_nodes_by_depth", None)
    if not by_depth:
        return {}
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    places = {}
    for node in nodes:
        layer = node.operation if hasattr(node, "operation") else node.layer
        own = [number for number, each in enumerate(layer._inbound_nodes) if each is node]
        places.setdefault(layer.name, []).extend(own)
    # A file leaves out the nodes of other models, and so does its numbering.
    return {name: [sorted(own).index(place) for place in own] for name, own in places.items()}


# --- Recording --------------------------------------------------------------------------------------------


class Store:
    """The arrays of a trace.

    Args:
        seed: The trace's.
        keep: Values of an output that are kept of each example.
    """

    def __init__(self, seed, keep):
        self.seed = seed
        self.keep = keep
        self.arrays = {}

    def add_output(self, run, name, array, batch):
        """Keeps an output at its seeded places, and the norm of each example's whole."""
        rows = rows_of(array, batch)
        places = sampled_places(self.seed, name, rows.shape[1], self.keep)
        self.arrays[f"{run}/value/{name}"] = rows[:, places]
        self.arrays[f"{run}/norm/{name}"] = norms(rows)


def numbers_of(tensor, dtype):
    """A tensor as an array of the run's dtype."""
    array = np.asarray(tensor)
    return array if array.dtype.name == dtype else array.astype(dtype)


def takes(model, shapes):
    """Whether a model's inputs are of shapes, or leave open what differs."""
    own = [list(tensor.shape)[1:] for tensor in inputs_of(model)]
    return len(own) != len(shapes) or all(
        len(given) != len(shape) or all(b in (None, a) for a, b in zip(given, shape) if a)
        for given, shape in zip(shapes, own)
    )


def tell(step):
    """Says on standard output which step begins: of a large model each takes minutes."""
    print(STEP + step, flush=True)


def describe_inputs(keras, model, batch, given_shapes):
    """Name, shape and, where it takes whole numbers, how many there are, of each input.

    Args:
        keras: The module.
        model: The model.
        batch: Examples.
        given_shapes: What an input's open axes are to be, without the batch axis; None leaves one open.

    Raises:
        RecordError: A shape that the model does not take.
    """
    counts = [layer.input_dim for _, layer in layers_in(keras, model) if type(layer).__name__ == "Embedding"]
    described = []
    if given_shapes and len(given_shapes) != len(inputs_of(model)):
        raise RecordError(
            f"--input-shape is given {len(given_shapes)} times: the model's inputs are not as many"
        )
    for number, tensor in enumerate(inputs_of(model)):
        shape = list(tensor.shape)[1:]
        if given_shapes:
            given = given_shapes[number]
            if len(given) != len(shape) or any(b not in (None, a) for a, b in zip(given, shape) if a):
                raise RecordError(f"--input-shape {given}: the input is of shape {shape}")
            shape = [size if size is not None else wanted for size, wanted in zip(shape, given)]
        dtype = getattr(tensor.dtype, "name", str(tensor.dtype))
        takes_tokens = not dtype.startswith(("float", "bfloat")) or (counts and len(shape) < 2)
        described.append(
            {
                "name": tensor.name.split(":")[0],
                "key": str(number),
                "stated_shape": shape,
                "shape": [batch] + shape,
                "dtype": dtype,
                "tokens": (int(min(counts)) if counts else 2) if takes_tokens else None,
            }
        )
    return described


def fill_sizes(model, inputs, batch, seed):
    """Gives axes of unknown length the first sizes that the model accepts.

    Raises:
        RecordError: It accepts none.
    """
    if all(None not in described["stated_shape"] for described in inputs):
        return
    problem = None
    for image_size, length in zip(SIZES, LENGTHS + LENGTHS[-1:] * len(SIZES)):
        for described in inputs:
            sizes = iter(image_size if len(described["stated_shape"]) >= 3 else (length,) * 3)
            stated = described["stated_shape"]
            described["shape"] = [batch] + [next(sizes, length) if size is None else size for size in stated]
        try:
            run_model(model, draw_batch(inputs, RANDOM, DRAWINGS[0], seed), "float32")
            return
        except Exception as error:
            problem = error
    raise RecordError(f"the model's input sizes are open, and it accepts none: {describe_error(problem)}")


def draw_batch(inputs, batch_name, drawing, seed):
    """The arrays of one batch, float64."""
    arrays = []
    for described in inputs:
        shape = tuple(described["shape"])
        if described["tokens"] is not None:
            array = draw_tokens(seed, described["key"], shape, described["tokens"])
        else:
            draw = extreme_input if batch_name == EXTREME else draw_input
            array = draw(seed, described["key"], shape, *drawing)
        if batch_name == EXTREME and described["tokens"] is not None:
            array = np.concatenate([np.zeros_like(array[:1]), array, array])[:4]
        arrays.append(array)
    return arrays


def run_model(model, arrays, dtype, tape=None):
    """The outputs of a model in inference, and the tensors it was given."""
    import tensorflow

    tensors = []
    for array, symbolic in zip(arrays, inputs_of(model)):
        name = getattr(symbolic.dtype, "name", str(symbolic.dtype))
        is_float = name.startswith(("float", "bfloat"))
        tensors.append(tensorflow.constant(array, dtype=dtype if is_float else name))
        if tape is not None and is_float:
            tape.watch(tensors[-1])
    return flat(model(tensors[0] if len(tensors) == 1 else tensors, training=False)), tensors


def choose_drawing(model, inputs, seed):
    """The drawing with which the outputs differ between examples and are not saturated, and by how much."""
    best, best_score = DRAWINGS[0], -1.0
    for candidate in DRAWINGS:
        outputs, _ = run_model(model, draw_batch(inputs, RANDOM, candidate, seed), "float32")
        score = min(liveliness(numbers_of(output, "float32")) for output in outputs)
        if score >= LEAST_SPREAD:
            return candidate, score
        if score > best_score:
            best, best_score = candidate, score
    return best, best_score


def liveliness(output):
    """How much an output differs between examples, of its largest value; 0 where it is not finite.

    One that is a probability and nearly certain counts for less.
    """
    if not output.size or not np.all(np.isfinite(output)):
        return 0.0
    scale = float(np.max(np.abs(output)))
    spread = float(np.max(np.abs(output - output[:1]))) / scale if scale else 0.0
    is_certain = np.min(output) >= 0 and np.max(output) <= 1 and np.max(output) > MOST_CERTAIN
    return spread * max(1e-3, 1 - float(np.max(output))) if is_certain else spread


def record_batch(watch, model, store, arrays, run, dtype):
    """Runs a model on a batch and keeps what every call gave.

    Returns:
        What trace.json says of the calls and of the outputs.
    """
    calls, batch = [], len(arrays[0])

    def saw(path, numbers, class_name, outputs):
        name, shapes = call_name(path, numbers), []
        for number, output in enumerate(outputs):
            array = numbers_of(output, dtype)
            shapes.append([None] + list(array.shape[1:]))
            store.add_output(run, f"{name}:{number}", array, batch)
        calls.append({"name": name, "path": list(path), "class": class_name, "outputs": shapes})

    with watch.told(saw):
        outputs, _ = run_model(model, arrays, dtype)
    for number, output in enumerate(outputs):
        store.add_output(run, f":{number}", numbers_of(output, dtype), batch)
    return calls, [[None] + list(output.shape)[1:] for output in outputs]


def record_gradients(keras, model, store, arrays, dtype):
    """Keeps the gradients of the weighted sum of the outputs by every weight and input.

    Frozen layers are differentiated, too: their weights are to be right as well.
    """
    import tensorflow

    model.trainable = True
    weights = []
    for path, number, weight in weights_in(keras, model):
        variable = getattr(weight, "value", weight)
        variable = weight if callable(variable) else variable
        if weight.trainable and variable.dtype.is_floating:
            weights.append((f"{dtype}/gradient/{'/'.join(path)}:{number}", variable))
    with tensorflow.GradientTape() as tape:
        outputs, inputs = run_model(model, arrays, dtype, tape)
        total = 0.0
        for number, output in enumerate(outputs):
            cotangent = draw_cotangent(store.seed, str(number), tuple(output.shape))
            total += tensorflow.reduce_sum(tensorflow.cast(output, dtype) * cotangent.astype(dtype))
    targets = [variable for _, variable in weights] + inputs
    gradients = tape.gradient(total, targets)
    names = [name for name, _ in weights] + [f"{dtype}/input_gradient/{n}" for n in range(len(inputs))]
    for name, gradient in zip(names, gradients):
        if gradient is not None:
            store.arrays[name] = numbers_of(tensorflow.convert_to_tensor(gradient), dtype)


def describe_layers(keras, model):
    """Every layer: path, class, parameters, and its weights with their checksums."""
    described = []
    for path, layer in layers_in(keras, model):
        is_model = isinstance(layer, keras.Model)
        trainable = {id(weight) for weight in layer.trainable_weights}
        counts = {True: 0, False: 0}
        for weight in layer.weights:
            counts[id(weight) in trainable] += int(np.prod(weight.shape))
        weights = []
        for weight in [] if is_model else layer.weights:
            array = np.asarray(weight)
            weights.append(
                {"name": short_name(weight), "shape": list(array.shape), "sha256": checksum(array)}
            )
        described.append(
            {
                "path": list(path),
                "class": type(layer).__name__,
                "is_model": is_model,
                "trainable_parameters": counts[True],
                "non_trainable_parameters": counts[False],
                "weights": weights,
            }
        )
    return described


def record(keras, package, file, arguments):
    """Loads a file, runs it, and returns its trace: what goes into trace.json, and the arrays.

    Raises:
        RecordError: The model cannot be loaded or run.
    """
    tell(f"{package} loads the model")
    model = load_model(keras, file, arguments.trust_code, arguments.weights)
    if arguments.input_shape and not takes(model, arguments.input_shape):
        with quiet_stderr():
            model = in_shapes(keras, model, arguments.input_shape, arguments.trust_code)
    store = Store(arguments.seed, arguments.keep)
    layers = describe_layers(keras, model)
    try:
        with quiet_stderr():
            policies = other_dtypes(keras, model)
            if policies:
                model = in_dtype(keras, model, "float32", arguments.trust_code)
            inputs = describe_inputs(keras, model, arguments.batch, arguments.input_shape)
            fill_sizes(model, inputs, arguments.batch, arguments.seed)
            drawing, spread = choose_drawing(model, inputs, arguments.seed)
            batches = {}
            for batch in [RANDOM] + ([EXTREME] if arguments.extreme else []):
                batches[batch] = draw_batch(inputs, batch, drawing, arguments.seed)
                for number, array in enumerate(batches[batch]):
                    store.arrays[f"input/{batch}/{number}"] = array
            calls, outputs = record_dtype(keras, model, store, batches, "float32")
    except RecordError:
        raise
    except Exception as error:
        version = f"{keras.__name__} {keras_version(keras)}"
        raise RecordError(f"{version} cannot run it: {describe_error(error)}") from error
    no_float64 = None
    before = set(store.arrays)
    try:
        with quiet_stderr():
            twin = in_dtype(keras, model, "float64", arguments.trust_code)
            record_dtype(keras, twin, store, batches, "float64")
    except Exception as error:
        no_float64 = describe_error(error)
        store.arrays = {name: store.arrays[name] for name in store.arrays if name in before}
    trace = {
        "schema": SCHEMA_VERSION,
        "kind": "file",
        "file": os.path.basename(os.path.abspath(file.given)),
        "seed": arguments.seed,
        "keep": arguments.keep,
        "drawing": dict(zip(("low", "high", "noise"), drawing)),
        "spread": spread,
        "inputs": inputs,
        "batches": list(batches),
        "layers": layers,
        "calls": calls,
        "outputs": outputs,
        "no_float64": no_float64,
        "other_dtypes": policies,
        "versions": versions(keras, package),
    }
    return trace, store.arrays


def record_dtype(keras, model, store, batches, dtype):
    """Everything in one dtype."""
    watch = Watch(keras, model)
    said = None
    for batch, arrays in batches.items():
        tell(f"{keras.__name__} runs every layer in {dtype}, {batch} inputs")
        answer = record_batch(watch, model, store, arrays, f"{dtype}/{batch}", dtype)
        said = said or answer
    tell(f"{keras.__name__} computes the gradients in {dtype}")
    record_gradients(keras, model, store, batches[RANDOM], dtype)
    return said


def versions(keras, package):
    """Who made the trace."""
    import tensorflow

    return {
        "keras_package": package,
        "keras": keras_version(keras),
        "tensorflow": tensorflow.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def write_trace(folder, trace, arrays):
    """Writes a trace folder, whole or not at all.

    Raises:
        RecordError: The folder cannot be written.
    """
    folder = os.path.abspath(folder)
    building = f"{folder}.building-{os.getpid()}"
    try:
        os.makedirs(building)
        # A slash in a layer's name would be a folder in the archive: the arrays go by numbers.
        trace["arrays"] = {name: f"a{number}" for number, name in enumerate(arrays)}
        stored = {trace["arrays"][name]: array for name, array in arrays.items()}
        np.savez(os.path.join(building, ARRAYS_FILE), **stored)
        with open(os.path.join(building, TRACE_FILE), "w", encoding="utf-8") as file:
            json.dump(trace, file)
        # Renaming onto an empty folder replaces it; onto a full one it fails.
        os.rename(building, folder)
    except OSError as error:
        raise RecordError(f"cannot write {folder}: {error}") from error
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
            raise argparse.ArgumentTypeError(f"{number} is not in {least} ... 2**32 - 1")
        return number

    parse.__name__ = "whole number"
    return parse


def axis_lengths(text):
    """An argparse type: `67,?,3` to a list of numbers and None."""
    return [None if size == "?" else int(size) for size in text.split(",")]


def parse_arguments(words):
    """Reads the command line.

    Raises:
        RecordError: An argument is wrong, or --out is a folder that is not empty.
    """
    parser = Parser(prog="record_file.py", description="Record what a Keras model file computes.")
    parser.add_argument("file", help="an .h5, .hdf5 or .keras file, or a SavedModel folder")
    parser.add_argument("--out", required=True, help="the folder to write")
    parser.add_argument("--architecture", metavar="JSON", help="the model, for an .h5 of weights alone")
    parser.add_argument(
        "--weights", metavar="NPZ", help="the layers' weights, where this Keras cannot read the file's"
    )
    parser.add_argument("--keras", choices=("auto",) + PACKAGES, default="auto", help="the package (auto)")
    parser.add_argument("--trust-code", action="store_true", help="load a file that holds code: it is run")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the inputs (0)")
    parser.add_argument("--batch", type=whole_number(2), default=2, help="random examples, at least 2 (2)")
    parser.add_argument(
        "--input-shape",
        type=axis_lengths,
        action="append",
        default=[],
        metavar="H,W,C",
        help="of an input, in the place of the file's, ? for a size that stays open; once an input",
    )
    parser.add_argument("--extreme", action="store_true", help="run a batch of extreme inputs, too")
    parser.add_argument(
        "--keep", type=whole_number(1), default=4096, help="values kept of an output, an example (4096)"
    )
    arguments = parser.parse_args(words)
    out = arguments.out
    if os.path.exists(out) and (not os.path.isdir(out) or os.listdir(out)):
        raise RecordError(f"--out {out} exists and is not an empty folder: remove it, or name another")
    return arguments


def run(words):
    """Records one file."""
    arguments = parse_arguments(words)
    # A script's own folder stands first on the path, where its neighbours would hide other modules.
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        sys.path.pop(0)
    scratch = tempfile.mkdtemp(prefix="record_file_")
    try:
        file = ModelFile(arguments.file, arguments.architecture, scratch)
        if not arguments.trust_code:
            remedy = "Keras would run it: if you trust the file's author, give --trust-code"
            refuse(code_in(file.config), HOLDS_CODE, remedy)
        tell("Keras starts")
        package, keras = load_keras(arguments.keras)
        if not arguments.trust_code:
            what = f"{package} {keras_version(keras)} does not know what the file holds"
            refuse(strange_in(file.config, keras), what, "where it does, --trust-code loads it")
        trace, arrays = record(keras, package, file, arguments)
        write_trace(arguments.out, trace, arrays)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{arguments.out}: {len(trace['calls'])} calls of layers", flush=True)


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
