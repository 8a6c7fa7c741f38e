"""`lightning_impl.fit` with one seeded fault: layers start as torch starts them, not as Keras does (D15).

python -m parity_tests.fit_with_torch_start --config v3 …
"""

from __future__ import annotations

from lightning_impl import fit
from lightning_impl.models import v1, v2, v3
from parity_common.command_errors import run_command


def start_as_torch_does() -> None:
    """Leaves out what gives the nets Keras's start: torch's own is in every layer already."""
    for net in (v1, v2, v3):
        for rule in ("initialise_", "glorot_uniform_"):
            if hasattr(net, rule):
                setattr(net, rule, lambda *arguments: None)


if __name__ == "__main__":
    start_as_torch_does()
    run_command(fit.main)
