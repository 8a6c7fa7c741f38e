"""Records what Keras does with an image folder: classes, split, decoding, ImageDataGenerator, batch order.

Like record.py, beside which it must lie, it needs numpy and a Keras only, and keeps to Python 3.7 syntax, so
that both files can be copied into the OLD environment a model lives in:

    python record_data.py --images photos --profile tf2.4 --image-size 64,64 --out traces/data \\
        --augment '{"rotation_range": 15, "horizontal_flip": true, "rescale": 0.00392156862745098}'

The trace is held against a port by `python -m porting audit TRACE --images photos` (rung 8).
"""

import importlib
import json
import os
import signal
import sys

import numpy as np

try:
    from keras_reference import record
except ImportError:
    import record

# Of each parameter; enough to tell a range that is a tenth too narrow.
DRAWS = 10000
EPOCHS_OF_ORDER = 3
ORDER_SEED = 17
PARAMETERS = ("theta", "tx", "ty", "shear", "zx", "zy", "flip_horizontal", "flip_vertical")
OPTIONAL_PARAMETERS = ("channel_shift_intensity", "brightness")


def image_tools(keras, profile):
    """ImageDataGenerator and load_img of a generation.

    Until TF 2.4 they were the package Keras-Preprocessing, which tf.keras imported; if it is installed, it is
    the one.
    """
    if profile == "keras3":
        module = importlib.import_module("keras.src.legacy.preprocessing.image")
        return module.ImageDataGenerator, keras.utils.load_img
    try:
        # Its iterators look for tensorflow.keras, which is Keras 3 unless this says otherwise.
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
        module = importlib.import_module("keras_preprocessing.image")
    except ImportError:
        module = keras.preprocessing.image
    return module.ImageDataGenerator, module.load_img


def made_generator(make, augment, **more):
    """An ImageDataGenerator, or one line about what it refuses.

    Raises:
        RecordError: An argument it does not take.
    """
    try:
        return make(**dict(augment, **more))
    except (TypeError, ValueError) as error:
        raise record.RecordError(f"--augment: ImageDataGenerator refuses it: {error}") from error


def record_data(make, load_img, arguments):
    """Asks Keras everything.

    Returns:
        What trace.json says of it, and the arrays by name.

    Raises:
        RecordError: The folder or the arguments are no good.
    """
    augment, size = arguments.augment, tuple(arguments.image_size)
    listing = made_generator(make, {}, validation_split=arguments.validation_split)
    files, arrays = {}, {}
    for part in ("training", "validation"):
        try:
            found = listing.flow_from_directory(
                arguments.images, target_size=size, subset=part, shuffle=False, batch_size=arguments.batch
            )
        except (OSError, ValueError) as error:
            raise record.RecordError(f"--images {arguments.images}: {error}") from error
        files[part] = [name.replace(os.sep, "/") for name in found.filenames]
        arrays[f"labels/{part}"] = np.asarray(found.classes, np.int64)
        classes = sorted(found.class_indices, key=found.class_indices.get)
    if len(files["training"]) < 2:
        raise record.RecordError(f"--images {arguments.images}: fewer than two training images")

    state = record.random_state(arguments.seed, "data/sample")
    kept = sorted(state.permutation(len(files["training"]))[: arguments.sample].tolist())
    sample = [files["training"][place] for place in kept]
    paths = [os.path.join(arguments.images, *name.split("/")) for name in sample]
    images = np.stack([np.asarray(load_img(path, target_size=size)) for path in paths])
    arrays["decoded"] = images.astype(np.uint8)

    generator = made_generator(make, augment)
    np.random.seed(arguments.seed)
    drawn = [generator.get_random_transform(images.shape[1:]) for _ in range(DRAWS)]
    for name in PARAMETERS + OPTIONAL_PARAMETERS:
        values = [np.nan if each[name] is None else float(each[name]) for each in drawn]
        if not np.isnan(values).all():
            arrays[f"drawn/{name}"] = np.asarray(values, np.float64)
    parameters = [_plain(each) for each in drawn[: len(images) * arguments.turns]]
    arrays["augmented"] = np.stack(
        [
            generator.apply_transform(images[number % len(images)].astype("float32"), given)
            for number, given in enumerate(parameters)
        ]
    ).astype(np.float32)
    # Statistics, where it asks for some, are those of the sampled images.
    if any(
        augment.get(name) for name in ("featurewise_center", "featurewise_std_normalization", "zca_whitening")
    ):
        generator.fit(images.astype("float32"))
    arrays["standardised"] = np.stack(
        [generator.standardize(image.astype("float32")) for image in images]
    ).astype(np.float32)

    count = len(files["training"])
    flow = made_generator(make, {}).flow(
        np.zeros((count, 1, 1, 3), np.float32), np.arange(count), batch_size=arguments.batch, seed=ORDER_SEED
    )
    batches = -(-count // arguments.batch)
    for epoch in range(EPOCHS_OF_ORDER):
        order = np.concatenate([next(flow)[1] for _ in range(batches)])
        arrays[f"order/{epoch}"] = order.astype(np.int64)
    data = {
        "classes": classes,
        "files": files,
        "sample": sample,
        "image_size": list(size),
        "validation_split": arguments.validation_split,
        "augment": augment,
        "parameters": parameters,
        "batch": arguments.batch,
        "order_seed": ORDER_SEED,
    }
    return data, arrays


def _plain(drawn):
    return {
        name: None if value is None else (bool(value) if name.startswith("flip") else float(value))
        for name, value in drawn.items()
    }


def parse_arguments(arguments):
    """Reads the command line.

    Raises:
        RecordError: An argument is wrong.
    """
    parser = record.Parser(
        prog="record_data.py", description="Record what Keras does with an image folder.", allow_abbrev=False
    )
    parser.add_argument("--images", required=True, help="a folder of class folders")
    parser.add_argument("--out", required=True, help="the trace folder")
    parser.add_argument("--profile", choices=record.PROFILES, default="tf2.4", help="the generation (tf2.4)")
    parser.add_argument("--keras", choices=record.PACKAGES, help="the package (by profile)")
    parser.add_argument(
        "--image-size", type=record.axis_lengths, default=[64, 64], help="height,width (64,64)"
    )
    parser.add_argument("--validation-split", type=float, default=0.2, help="(0.2)")
    parser.add_argument("--augment", type=json.loads, default={}, help="ImageDataGenerator's arguments, JSON")
    parser.add_argument(
        "--sample", type=record.whole_number(2), default=24, help="training images to look at (24)"
    )
    parser.add_argument("--turns", type=record.whole_number(1), default=4, help="augmentations of each (4)")
    parser.add_argument("--batch", type=record.whole_number(1), default=32, help="images a step (32)")
    parser.add_argument("--seed", type=record.whole_number(0), default=0, help="(0)")
    parsed = parser.parse_args(arguments)
    if not 0 < parsed.validation_split < 1:
        raise record.RecordError(f"--validation-split is {parsed.validation_split}: give a share")
    if len(parsed.image_size) != 2:
        raise record.RecordError("--image-size takes height,width")
    if not isinstance(parsed.augment, dict):
        raise record.RecordError("--augment is no JSON object: give ImageDataGenerator's arguments")
    if not os.path.isdir(parsed.images):
        raise record.RecordError(f"--images {parsed.images}: no such folder")
    return parsed


def run(arguments):
    """Records one folder."""
    parsed = parse_arguments(arguments)
    if os.path.exists(parsed.out) and (not os.path.isdir(parsed.out) or os.listdir(parsed.out)):
        raise record.RecordError(
            f"--out {parsed.out} exists and is not an empty folder: remove it, or name another"
        )
    package, keras = record.load_keras(parsed.keras, parsed.profile)
    data, arrays = record_data(*image_tools(keras, parsed.profile), arguments=parsed)
    certificate = record.birth_certificate(keras, package, parsed.seed, "")
    certificate["generator"] = os.path.basename(__file__)
    # The folder is the reader's to name.
    certificate["command"] = "python record_data.py " + " ".join(
        word for word in arguments if word not in (parsed.images, parsed.out, "--images", "--out")
    )
    trace = {
        "schema": record.SCHEMA_VERSION,
        "kind": "data",
        "profile": parsed.profile,
        "seed": parsed.seed,
        "data": data,
        "arrays": {
            name: {"stored": "full", "shape": list(array.shape), "dtype": array.dtype.name}
            for name, array in arrays.items()
        },
        "birth_certificate": certificate,
    }
    record.write_trace(parsed.out, trace, arrays)
    print(
        "{}: {} classes, {} training images".format(
            parsed.out, len(data["classes"]), len(data["files"]["training"])
        )
    )


def main():
    """The command: exits 0, 2 on bad input, 130 or 143 when stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        run(sys.argv[1:])
    except record.RecordError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(record.EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
