"""`callbacks` of a config: Keras's callbacks by Keras's names, alike on both sides."""

from __future__ import annotations

from typing import Any

from parity_common.command_errors import UserError, did_you_mean

# Keras 3.15's arguments, less `verbose`; tf_keras 2.21 has the same.
MONITORED = ("monitor", "min_delta", "patience", "mode")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "EarlyStopping": (*MONITORED, "baseline", "restore_best_weights", "start_from_epoch"),
    "ReduceLROnPlateau": (*MONITORED, "factor", "cooldown", "min_lr"),
    "TerminateOnNaN": (),
}
# What an epoch logs, on either side.
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")
ELSEWHERE = {
    "LearningRateScheduler": "it takes a function: give model.schedule, or a callback in Python",
    "ModelCheckpoint": "every run keeps best and last checkpoints already",
}


def callbacks_of(setting: list[dict[str, dict[str, Any] | None]] | None) -> list[tuple[str, dict[str, Any]]]:
    """Class names and arguments, in order.

    Args:
        setting: Such as `[{"EarlyStopping": {"patience": 5}}, {"TerminateOnNaN": None}]`.

    Raises:
        UserError: An unknown callback or argument, or an entry of several.
    """
    found = []
    for entry in setting or []:
        if len(entry) != 1:
            names = ", ".join(entry) or "nothing"
            raise UserError(f"callbacks has an entry of {names}: give each callback its own")
        ((name, arguments),) = entry.items()
        arguments = dict(arguments or {})
        _check(name, arguments)
        found.append((name, arguments))
    return found


def check_monitor(callback: str, monitor: object) -> None:
    """Refuses a figure that no epoch logs.

    Args:
        callback: Its name, for the message.
        monitor: The figure's.

    Raises:
        UserError: Names those there are.
    """
    if monitor not in FIGURES:
        hint = did_you_mean(str(monitor), FIGURES)
        raise UserError(
            f"{callback}: there is no figure {monitor}{hint}: monitor one of {', '.join(FIGURES)}"
        )


def _check(name: str, arguments: dict[str, Any]) -> None:
    if name in ELSEWHERE:
        raise UserError(f"callbacks: {name} is not set here: {ELSEWHERE[name]}")
    if name not in ARGUMENTS:
        hint = did_you_mean(name, ARGUMENTS)
        raise UserError(f"callbacks: no callback {name}{hint}: one of {', '.join(ARGUMENTS)}")
    known = ARGUMENTS[name]
    for given in arguments:
        if given not in known:
            hint, takes = did_you_mean(given, known), ", ".join(known) or "none"
            raise UserError(f"callbacks: {name} has no argument {given}{hint}: it takes {takes}")
    if "monitor" in arguments:
        check_monitor(f"callbacks: {name}", arguments["monitor"])
