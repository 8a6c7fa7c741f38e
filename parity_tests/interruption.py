"""A Lightning callback that interrupts its own process at a named place, for `--trainer.callbacks`."""

from __future__ import annotations

import json
import os
import signal
import time

from lightning.pytorch.callbacks import Callback


class Interrupt(Callback):
    """Sends a signal to its own process.

    Args:
        place: on_train_batch_start, on_train_batch_end, on_validation_start, on_validation_batch_start,
            on_validation_end or on_train_epoch_end.
        step: Training steps begun before, over all epochs.
        number: The signal's.
        whole_group: Send it to the workers, too, as a terminal does.
        hang: Seconds that the step then takes.
    """

    def __init__(
        self,
        place: str,
        step: int,
        number: int = signal.SIGTERM,
        whole_group: bool = False,
        hang: float = 0,
    ) -> None:
        def interrupt(trainer, *arguments) -> None:
            if trainer.fit_loop.epoch_loop.batch_progress.total.ready == step:
                if whole_group:
                    os.killpg(os.getpgid(0), number)
                else:
                    os.kill(os.getpid(), number)
                if hang:
                    print("hanging", flush=True)
                    time.sleep(hang)

        setattr(self, place, interrupt)


def interrupt_at(place: str, step: int, number: int = signal.SIGTERM, **more: object) -> tuple[str, str]:
    """The command line's words for an `Interrupt`."""
    name = f"{Interrupt.__module__}.{Interrupt.__qualname__}"
    arguments = {"place": place, "step": step, "number": int(number), **more}
    return "--trainer.callbacks", json.dumps([{"class_path": name, "init_args": arguments}])
