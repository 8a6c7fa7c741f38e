"""Trains a classifier of the record in Keras: `python -m keras_reference.fit --config v3`.

Leaves the run folder that the Lightning side leaves too (parity_common/run_folder.py).
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from types import FrameType, ModuleType
from typing import Any

from keras_reference.backend import load_keras
from keras_reference.batches import BatchMaker
from keras_reference.checkpoints import Checkpoints
from keras_reference.closing import Trained, close_run
from keras_reference.config import Settings, read_settings
from keras_reference.data import Part, decode_files, image_folder, list_files
from keras_reference.training import build_callbacks, build_model, fit_arrays, second_stage
from parity_common.class_folders import list_classes
from parity_common.command_errors import EXIT_TERMINATED, Stopped, run_command
from parity_common.home_path import home_path
from parity_common.run_folder import RunFolder
from parity_common.run_lock import only_user
from parity_common.start_lines import start_lines


class StopSignals:
    """Ctrl-C and SIGTERM: at once outside of training, before the next batch within it.

    In training a signal is only noted: an exception out of a handler could part Keras's own calls in the
    middle. A second signal always takes effect at once.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.in_training = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def check(self) -> None:
        """Ends a training once a signal has come.

        Raises:
            Stopped: Exit code 130 or 143.
        """
        if self.received is not None:
            raise Stopped(f"by {signal.Signals(self.received).name}", 128 + self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        self.received = number
        if again or not self.in_training:
            raise KeyboardInterrupt


def main() -> int | None:
    settings = read_settings(sys.argv[1:])
    signals = StopSignals()
    try:
        return _fit(settings, signals)
    except KeyboardInterrupt:
        if signals.received == signal.SIGTERM:
            raise Stopped("by SIGTERM", EXIT_TERMINATED) from None
        raise


def _fit(settings: Settings, signals: StopSignals) -> int:
    if settings.data.root is not None:
        # Before anything heavy is imported.
        list_classes(home_path(settings.data.root), settings.data.classes)
    keras = _load_quietly(settings.model.profile)
    folder = image_folder(settings.data)
    files = list_files(settings.model.profile, folder, settings.data)
    for line in start_lines(folder, files.counts(), is_own=settings.data.root is not None):
        print(line, file=sys.stderr, flush=True)
    training, validation = decode_files(settings.model.profile, folder, files, settings.data.image_size)
    batches = BatchMaker(
        keras,
        settings.model.profile,
        settings.data.augment,
        len(files.class_names),
        settings.data.batch_size,
        settings.data.expand,
        settings.data.expand_mode == "fixed",
    )
    # Python's, numpy's and TensorFlow's: start weights and dropout.
    keras.utils.set_random_seed(settings.seed_everything)
    model = build_model(keras, settings.model, len(files.class_names), settings.data.image_size)
    callbacks = build_callbacks(keras, settings.callbacks)
    # Everything that can be wrong with the input has been found: no folder is left behind by a bad start.
    run = RunFolder.create(home_path(settings.runs), settings.name)
    with only_user(run.path):
        run.write_config(settings.complete)
        model.summary()
        checkpoints = Checkpoints(run.checkpoints, settings.model.profile)
        started = time.perf_counter()
        rows = _train(
            settings, signals, run, checkpoints, callbacks, (keras, model, training, validation), batches
        )
        if getattr(model.optimizer, "use_ema", False):
            # fit ends with the averages for weights.
            checkpoints.save_last(model)
        seconds = time.perf_counter() - started
        trained = Trained(folder, files, training, validation, batches, checkpoints, rows, seconds)
        return close_run(keras, settings, run, trained)


def _load_quietly(profile: str) -> ModuleType:
    """`load_keras` without the hardware lines that TensorFlow 2.21 writes whatever its log level is."""
    with tempfile.TemporaryFile() as said, os.fdopen(os.dup(2), "wb") as standard_error:
        os.dup2(said.fileno(), 2)
        try:
            return load_keras(profile)
        except ImportError:
            # If it failed, they may say why.
            said.seek(0)
            standard_error.write(said.read())
            raise
        finally:
            os.dup2(standard_error.fileno(), 2)


def _train(
    settings: Settings,
    signals: StopSignals,
    run: RunFolder,
    checkpoints: Checkpoints,
    callbacks: list[Any],
    parts: tuple[Any, Any, Part, Part],
    batches: BatchMaker,
) -> list[dict]:
    keras, model = parts[0], parts[1]

    def keep(row: dict) -> None:
        run.append_metrics(row)
        checkpoints.save(model, row)

    signals.in_training = True
    try:
        return fit_arrays(
            *parts,
            batches=batches,
            max_epochs=settings.trainer.max_epochs,
            seed=settings.seed_everything,
            callbacks=callbacks,
            verbose=1 if sys.stdout.isatty() else 2,
            on_epoch=keep,
            check_stop=signals.check,
            second=second_stage(keras, model, settings.model),
        )
    except Stopped as stopped:
        raise Stopped(f"{stopped}; {checkpoints.kept()}", stopped.exit_code) from stopped
    finally:
        signals.in_training = False


if __name__ == "__main__":
    run_command(main)
