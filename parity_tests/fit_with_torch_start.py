"""`lightning_impl.fit` with one seeded fault: layers start as torch starts them, not as Keras does (D15).

python -m parity_tests.fit_with_torch_start --config v3 …
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lightning_impl import fit
from lightning_impl.module import Classifier
from parity_common.command_errors import run_command


def start_as_torch_does() -> None:
    """Has every Classifier made from now on draw its weights by torch's own rules."""
    keras_start = Classifier.__init__

    def torch_start(self: Classifier, *arguments: Any, **named: Any) -> None:
        keras_start(self, *arguments, **named)
        for layer in self.net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.reset_parameters()

    Classifier.__init__ = torch_start  # type: ignore[method-assign]


if __name__ == "__main__":
    start_as_torch_does()
    run_command(fit.main)
