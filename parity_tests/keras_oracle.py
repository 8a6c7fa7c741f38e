"""What Keras itself answers, asked in a process of its own: importing it beside torch can abort the process.

As a module it holds `ask_keras`; as a script it is the child that imports Keras and answers.
"""

from __future__ import annotations

import atexit
import importlib
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

PROFILES = ("tf2.4", "keras3")


def ask_keras(question: str, profile: str, **given) -> dict[str, np.ndarray]:
    """Calls a function under a profile's Keras.

    Args:
        question: The name of one of the functions below, or "topic.function" of
            parity_tests/keras_questions/topic.py. It takes the keras module and the arrays given.
        profile: tf2.4 or keras3.
        given: Arrays or plain values for it.

    Returns:
        The arrays it answers.
    """
    child, folder = _keras_child(profile)
    np.savez(folder / "given.npz", **{name: np.asarray(value) for name, value in given.items()})
    print(question, file=child.stdin, flush=True)
    reply = child.stdout.readline().strip()
    assert reply == "answered", (
        f"Keras could not answer {question}: {reply or (folder / 'stderr').read_text()}\n"
        'It needs pip install -e ".[keras]".'
    )
    with np.load(folder / "answer.npz") as answer:
        return dict(answer)


@cache
def _keras_child(profile: str) -> tuple[subprocess.Popen, Path]:
    # One child a profile for the whole test run: importing Keras takes longer than most answers.
    folder = Path(tempfile.mkdtemp(prefix="keras_oracle_"))
    with open(folder / "stderr", "w") as errors:
        child = subprocess.Popen(
            [sys.executable, __file__, profile, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    atexit.register(_end, child)
    return child, folder


def _end(child: subprocess.Popen) -> None:
    child.kill()
    # Closes its pipes as well: warnings are errors.
    child.communicate()


def load_images(keras, paths, height, width):
    """Keras's own load_img of each path, nearest resizing, `(N, height, width, 3)` uint8."""
    load = keras.utils.load_img
    size = (int(height), int(width))
    return {"images": np.stack([np.asarray(load(str(path), target_size=size)) for path in paths])}


def folder_order(keras, root, validation_split, classes=None):
    """Class names, and the files and labels of both parts, as flow_from_directory has them."""
    if keras.__name__ == "tf_keras":
        from keras_preprocessing.image import ImageDataGenerator
    else:
        from keras.src.legacy.preprocessing.image import ImageDataGenerator
    generator = ImageDataGenerator(validation_split=float(validation_split))
    answer = {}
    for part in ("training", "validation"):
        chosen = None if classes is None else [str(name) for name in classes]
        iterator = generator.flow_from_directory(str(root), subset=part, target_size=(8, 8), classes=chosen)
        answer[f"{part}_files"] = np.array(iterator.filenames)
        answer[f"{part}_labels"] = np.asarray(iterator.classes)
        answer["class_names"] = np.array(sorted(iterator.class_indices, key=iterator.class_indices.get))
    return answer


def batch_norm_statistics(keras, features, gamma, beta, mean, variance, dtype):
    """One training call of BatchNormalization: its output and the moving statistics after it."""
    dtype = str(dtype)
    keras.backend.set_floatx(dtype)
    if keras.__name__ == "keras":
        keras.config.set_dtype_policy(dtype)
    layer = keras.layers.BatchNormalization()
    layer.build(features.shape)
    layer.set_weights([gamma, beta, mean, variance])
    output = np.asarray(layer(features.astype(dtype), training=True))
    _, _, new_mean, new_variance = layer.get_weights()
    return {"output": output, "mean": new_mean, "variance": new_variance}


def _function(question: str):
    topic, _, name = question.rpartition(".")
    return (
        getattr(importlib.import_module(f"parity_tests.keras_questions.{topic}"), name)
        if topic
        else globals()[name]
    )


def serve(profile: str, folder: Path) -> None:
    """Answers questions, one a line of standard input, until it closes."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from keras_reference.backend import load_keras

    # Keras prints to standard output at times; the replies need it for themselves.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    keras = load_keras(profile)
    for line in sys.stdin:
        with np.load(folder / "given.npz") as given:
            arguments = dict(given)
        try:
            np.savez(folder / "answer.npz", **_function(line.strip())(keras, **arguments))
            reply = "answered"
        except Exception as error:
            reply = f"{type(error).__name__} {error}".replace("\n", " ")
        finally:
            keras.backend.set_floatx("float32")
            if profile == "keras3":
                keras.config.set_dtype_policy("float32")
        print(reply, file=replies, flush=True)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    serve(sys.argv[1], Path(sys.argv[2]))
