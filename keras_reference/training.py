"""Training on arrays in memory: what a fit and a benchmark have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_reference.batches import BatchMaker
from keras_reference.config import OPTIMIZERS, ModelSettings
from keras_reference.data import Part
from keras_reference.models import BUILDERS, final
from keras_reference.record_file import layers_in, take_up_weights
from keras_reference.torch_file import read_tensors
from parity_common.command_errors import EXIT_FAILED, Stopped, UserError, did_you_mean
from parity_common.efficientnet import package_names
from parity_common.fine_tune_settings import OUT_OF_REACH, fine_tune_of
from parity_common.installed_weights import INSTALLED, PACKAGE, installed_weights_file


def build_model(keras: ModuleType, settings: ModelSettings, classes: int, image_size: tuple[int, int]) -> Any:
    """The compiled model of a config.

    Args:
        keras: What `load_keras(settings.profile)` gives.
        settings: The config's `model`.
        classes: How many.
        image_size: Height and width in pixels.
    """
    own = dict(settings.arch_arguments or {})
    if settings.weights == "keras-imagenet":
        own["weights"] = "imagenet"
    backbone = own.get("backbone", "efficientnet_b0")
    if settings.weights == PACKAGE and backbone in final.BACKBONES:
        # Found missing before the net is built.
        installed_weights_file(backbone)
    try:
        model = BUILDERS[settings.arch](keras, classes, image_size, **own)
    except UserError:
        raise
    except Exception as error:
        # keras.applications fetches the weights it is asked for, and raises a plain Exception.
        if settings.weights != "keras-imagenet":
            raise
        raise UserError(
            f"model.weights keras-imagenet: {error}: put the file into ~/.keras/models by hand, or choose "
            "--model.weights none"
        ) from error
    if settings.arch == "final" and settings.weights == "none":
        print(OUT_OF_REACH)
    if settings.weights == PACKAGE:
        load_package_weights(model, backbone)
    elif settings.weights not in ("none", "keras-imagenet"):
        load_weights(keras, model, settings.weights)
    fine_tune = fine_tune_of(settings.fine_tune)
    if fine_tune is not None:
        # A wrong name is found now, not when the second stage begins.
        final.freeze(model, fine_tune.unfreeze_from)
        final.freeze(model)
    compile_model(keras, model, settings, settings.learning_rate)
    return model


def compile_model(keras: ModuleType, model: Any, settings: ModelSettings, learning_rate: float) -> None:
    """Gives a model the config's optimizer, begun anew, and its loss.

    Args:
        keras: What `load_keras(settings.profile)` gives.
        model: Changed in place.
        settings: The config's `model`.
        learning_rate: The optimizer's, or its schedule's initial one.
    """
    rate: Any = learning_rate
    if settings.schedule is not None:
        rate = _schedule(keras, settings.schedule, learning_rate)
    # TF 2.4's optimizers are tf_keras's legacy ones; those of its plain namespace came with TF 2.11.
    optimizers = keras.optimizers.legacy if settings.profile == "tf2.4" else keras.optimizers
    name = OPTIMIZERS[settings.optimizer]
    if not hasattr(optimizers, name):
        raise UserError(f"model.optimizer {settings.optimizer} is not in {settings.profile}'s Keras")
    optimizer = _made(getattr(optimizers, name), learning_rate=rate, **(settings.optimizer_arguments or {}))
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])


def second_stage(
    keras: ModuleType, model: Any, settings: ModelSettings
) -> tuple[int, Callable[[], None]] | None:
    """A fine-tuning's second stage: its first epoch, and what begins it; None without one."""
    fine_tune = fine_tune_of(settings.fine_tune)
    if fine_tune is None:
        return None

    def enter() -> None:
        final.freeze(model, fine_tune.unfreeze_from)
        compile_model(keras, model, settings, fine_tune.learning_rate)

    return fine_tune.start_epoch, enter


def load_package_weights(model: Any, backbone: str) -> None:
    """Gives a final the weights of an installed package, without its classifier.

    Raises:
        UserError: The package is missing, or its file is another net's.
    """
    path = installed_weights_file(backbone)
    try:
        tensors = read_tensors(path)
        for name, theirs in package_names().items():
            layer = model.get_layer(name)
            layer.set_weights(_of_torch(layer, theirs, tensors))
    except (ValueError, KeyError) as error:
        raise UserError(f"model.weights package: {path}: {error}") from error
    print(f"weights of {path.name}, of the package {INSTALLED[backbone].distribution}")


def _of_torch(layer: Any, name: str, tensors: Mapping[str, NDArray]) -> list[NDArray]:
    """A torch layer's arrays, in the order and with the axes of Keras's."""
    kind = type(layer).__name__
    if kind == "BatchNormalization":
        return [tensors[f"{name}.{each}"] for each in ("weight", "bias", "running_mean", "running_var")]
    # (out, in, height, width) to (height, width, in, out); a depthwise kernel's outputs are Keras's inputs.
    axes = (2, 3, 0, 1) if kind == "DepthwiseConv2D" else (2, 3, 1, 0)
    return [tensors[f"{name}.weight"].transpose(axes)]


def load_weights(keras: ModuleType, model: Any, path: str) -> None:
    """Gives a final the weights of a Keras file: a whole model's, or its backbone's alone.

    Raises:
        UserError: What Keras says of a file that it cannot read, or that is another model's.
    """
    backbone = keras.Model(model.input, model.get_layer("pool").input)
    custom = {"CaffePreprocessing": final.caffe_preprocessing(keras)}
    try:
        try:
            whole = keras.models.load_model(path, compile=False, custom_objects=custom)
        except ValueError:
            # A file of weights alone holds no model.
            backbone.load_weights(path)
        else:
            _copy_weights(keras, whole, model)
    except (OSError, ValueError) as error:
        raise UserError(f"model.weights: {path}: {error}") from error
    take_up_weights(keras, model)


def _copy_weights(keras: ModuleType, source: Any, target: Any) -> None:
    """Layer by layer, those of a model inside the source in its place.

    Raises:
        ValueError: The layers with weights are others.
    """
    ours, theirs = (
        [
            layer
            for _, layer in layers_in(keras, model)
            if layer.weights and not isinstance(layer, keras.Model)
        ]
        for model in (target, source)
    )
    if len(ours) != len(theirs):
        raise ValueError(f"it has {len(theirs)} layers with weights, this net has {len(ours)}")
    for layer, other in zip(ours, theirs, strict=True):
        layer.set_weights(other.get_weights())


def build_callbacks(keras: ModuleType, said: Sequence[tuple[str, dict[str, Any]]]) -> list[Any]:
    """Keras's callbacks by class name and arguments.

    Raises:
        UserError: What Keras says of arguments that it refuses.
    """
    return [_made(getattr(keras.callbacks, name), **arguments) for name, arguments in said]


def _schedule(keras: ModuleType, setting: dict[str, dict[str, Any]], learning_rate: float) -> Any:
    schedules = keras.optimizers.schedules
    if len(setting) != 1:
        raise UserError(f"model.schedule has {len(setting)} names: give one, such as CosineDecay: {{...}}")
    ((name, arguments),) = setting.items()
    if not hasattr(schedules, name):
        raise UserError(f"no schedule {name}{did_you_mean(name, dir(schedules))}")
    first = {} if name == "PiecewiseConstantDecay" else {"initial_learning_rate": learning_rate}
    return _made(getattr(schedules, name), **first, **(arguments or {}))


def _made(kind: Any, **arguments: Any) -> Any:
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{kind.__name__}: {error}") from error


def fit_arrays(
    keras: ModuleType,
    model: Any,
    training: Part,
    validation: Part,
    *,
    batches: BatchMaker,
    max_epochs: int,
    seed: int,
    callbacks: Sequence[Any] = (),
    verbose: int = 0,
    on_epoch: Callable[[dict], None] = lambda row: None,
    check_stop: Callable[[], None] = lambda: None,
    second: tuple[int, Callable[[], None]] | None = None,
) -> list[dict]:
    """Trains a compiled model with Keras's `fit`, validating after each epoch.

    Args:
        keras: The Keras the model is of.
        model: From `build_model`; its last layer has one unit a class.
        training: Images and labels, shuffled anew each epoch.
        validation: Images and labels.
        batches: Makes batches of the two.
        max_epochs: Epochs to train.
        seed: Of the batch orders. Start weights are the model's own already.
        callbacks: More of Keras's callbacks.
        verbose: Keras's: 1 a bar, 2 a line an epoch, 0 nothing.
        on_epoch: Called after each epoch with its row.
        check_stop: Called before each batch; raises to stop.
        second: The first epoch of a second stage, and what begins it; see `second_stage`.

    Returns:
        A row an epoch with the keys of `parity_common.run_folder.METRIC_COLUMNS`; `epoch` counts from 0.

    Raises:
        Stopped: A loss of an epoch is not finite; exit code 1.
    """
    images = batches.images_per_epoch(training)
    rows: list[dict] = []

    class EpochRows(keras.callbacks.Callback):
        """Times epochs and hands on their figures."""

        # Told so, neither Keras fetches the running loss from the device for every batch.
        _supports_tf_logs = True

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self.started = time.perf_counter()

        def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
            check_stop()

        def on_test_begin(self, logs: dict | None = None) -> None:
            self.trained = time.perf_counter()

        def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
            check_stop()

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}
            # A mean over the epoch's batches: one batch that is not finite leaves it so.
            for name, said in (("loss", "loss"), ("val_loss", "validation loss")):
                if not math.isfinite(figures[name]):
                    raise Stopped(
                        f"the {said} is {figures[name]} in epoch {epoch + 1}: lower --model.learning_rate, "
                        "or look for damaged images",
                        EXIT_FAILED,
                    )
            row = {"epoch": epoch} | {
                name: figures[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")
            }
            row["learning_rate"] = _shortest(_rate(self.model.optimizer))
            row["seconds"] = round(time.perf_counter() - self.started, 3)
            row["images_per_second"] = round(images / (self.trained - self.started), 1)
            rows.append(row)
            on_epoch(row)

    data, held = batches.training(training, seed), batches.validation(validation)
    stages: list[tuple[int, Callable[[], None]]] = [(0, lambda: None)]
    if second is not None and second[0] < max_epochs:
        stages.append(second)
    ends = [first for first, _ in stages[1:]] + [max_epochs]
    for (first, enter), end in zip(stages, ends, strict=True):
        enter()
        model.fit(
            data,
            validation_data=held,
            initial_epoch=first,
            epochs=end,
            # The dataset shuffles itself; Keras 3 would warn that it cannot.
            shuffle=False,
            # First the row: it has the rate that the epoch was trained with.
            callbacks=[EpochRows(), *callbacks],
            verbose=verbose,
        )
    return rows


def predict_probabilities(model: Any, part: Part, batches: BatchMaker) -> NDArray[np.floating]:
    """Probabilities `(N, classes)` of each image, in the order of `part`.

    Args:
        model: With one unit a class in its last layer, softmax; it need not be compiled.
        part: What to predict.
        batches: Makes its batches.
    """
    return model.predict(batches.validation(part), verbose=0)


def _rate(optimizer: Any) -> Any:
    rate = optimizer.learning_rate
    # A legacy optimizer hands out the schedule itself.
    return rate(optimizer.iterations) if callable(rate) and not hasattr(rate, "dtype") else rate


def _shortest(variable: Any) -> float:
    """A float32 variable as the shortest decimal that means it: 0.001, not 0.0010000000474974513."""
    return float(str(np.float32(variable.numpy())))
