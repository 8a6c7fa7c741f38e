"""A callback's figure that no epoch will have is found before the training, not at its first epoch's end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint

from parity_common.callback_settings import FIGURES, check_monitor
from parity_common.command_errors import UserError

# Lightning's ModelCheckpoint knows these as well.
COUNTERS = ("epoch", "step")


def check_monitors(keras_callbacks: Iterable[Callback], trainer: Mapping[str, Any]) -> None:
    """Looks at every callback that watches a figure.

    Args:
        keras_callbacks: Those of the config's `callbacks`.
        trainer: The config's `trainer`, its callbacks made.

    Raises:
        UserError: Names the callback and the figures there are.
    """
    given = trainer.get("callbacks") or []
    others = list(given) if isinstance(given, list | tuple) else [given]
    is_validated = trainer.get("limit_val_batches") not in (0, 0.0)
    is_validated_each_epoch = is_validated and trainer.get("check_val_every_n_epoch", 1) == 1
    for callback in keras_callbacks:
        monitor = getattr(getattr(callback, "rule", None), "monitor", None)
        if monitor is not None:
            name = type(callback).__name__.removeprefix("Keras")
            _check(name, monitor, is_validated_each_epoch, "every epoch is validated")
    # A callback of the user's own may log further figures.
    logs_more = any(
        isinstance(callback, LearningRateMonitor) or not type(callback).__module__.startswith("lightning")
        for callback in others
    )
    for callback in others:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str) or (logs_more and monitor not in FIGURES):
            continue
        if not (isinstance(callback, ModelCheckpoint) and monitor in COUNTERS):
            _check(type(callback).__name__, monitor, is_validated, "epochs are validated")
        if isinstance(callback, EarlyStopping) and trainer.get("max_steps", -1) != -1:
            # An epoch that max_steps ends is not validated: no reason to fail at its end.
            callback.strict = False


def _check(name: str, monitor: str, is_there: bool, needed: str) -> None:
    check_monitor(name, monitor)
    if monitor.startswith("val_") and not is_there:
        raise UserError(
            f"{name} watches {monitor}, which takes that {needed}: leave trainer.limit_val_batches and "
            "trainer.check_val_every_n_epoch out, or give it monitor: loss"
        )
