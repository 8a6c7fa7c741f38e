"""What Keras's callbacks decide on given sequences of figures."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np


def decide(keras, callback, cases, dtype):
    """Drives a callback by hand, as `fit` does, over a figure an epoch.

    Before each epoch ends, the model's only weight is set to the epoch's number, so that a restored weight
    names its epoch.

    Args:
        keras: The package.
        callback: ReduceLROnPlateau, EarlyStopping or ModelCheckpoint.
        cases: JSON, a list of dicts: `arguments` of the callback, `figures`, `rate` to start with.
        dtype: Keras's floatx, float32 or float64.

    Returns:
        "N|rates" after each epoch (the last at the one that stops), "N|weight" in the end, and "N|saved":
        the epochs whose file lies there, for case N.
    """
    keras.backend.set_floatx(str(dtype))
    model = _trained_model(keras)
    answer = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(json.loads(str(cases))):
            arguments = dict(case["arguments"])
            if str(callback) == "ModelCheckpoint":
                arguments["filepath"] = f"{folder}/{number}-{{epoch}}.weights.h5"
                arguments["save_weights_only"] = True
            made = getattr(keras.callbacks, str(callback))(**arguments)
            rates = _run(model, made, case)
            answer[f"{number}|rates"] = np.array(rates)
            answer[f"{number}|weight"] = model.get_weights()[0].ravel()[0]
            files = Path(folder).glob(f"{number}-*.weights.h5")
            answer[f"{number}|saved"] = np.array(
                sorted(int(p.name.split("-")[1].split(".")[0]) for p in files)
            )
    return answer


def _run(model, callback, case):
    monitor = case["arguments"].get("monitor", "val_loss")
    model.optimizer.learning_rate = case["rate"]
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, figure in enumerate(case["figures"]):
        callback.on_epoch_begin(epoch)
        model.set_weights([np.full((1, 1), float(epoch))])
        callback.on_epoch_end(epoch, {monitor: figure})
        rates.append(np.float64(np.asarray(model.optimizer.learning_rate)))
        if model.stop_training:
            break
    callback.on_train_end()
    return rates


def _trained_model(keras):
    """One weight; trained on a batch, since Keras 3 makes its metrics only then."""
    optimizers = keras.optimizers.legacy if keras.__name__ == "tf_keras" else keras.optimizers
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(optimizers.SGD(0.1), "mse", metrics=["accuracy"])
    model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
    return model
