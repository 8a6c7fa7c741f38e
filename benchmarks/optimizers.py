"""Step times of the Keras optimizers against torch's own, on v3's parameters in float32 on the CPU.

    python -m benchmarks.optimizers

The two take turns in short rounds, so that other work on the machine falls on both; what counts is the median
of the rounds' ratios. torch's side is its foreach class, and for Adam its fused class too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import nn

from lightning_impl.cpu_memory import keep_freed_memory
from lightning_impl.keras_semantics.optimizers import build_optimizer
from lightning_impl.keras_semantics.profile import PROFILES, TF24, Profile
from lightning_impl.models.v3 import V3

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

# Against which class of torch each is held; torch has no Ftrl.
TORCH: list[tuple[str, dict[str, Any], str, MakeOptimizer]] = [
    ("sgd", {}, "SGD", lambda p: torch.optim.SGD(p, foreach=True)),
    (
        "sgd",
        {"momentum": 0.9},
        "SGD momentum",
        lambda p: torch.optim.SGD(p, momentum=0.9, foreach=True),
    ),
    (
        "sgd",
        {"momentum": 0.9, "nesterov": True},
        "SGD Nesterov",
        lambda p: torch.optim.SGD(p, momentum=0.9, nesterov=True, foreach=True),
    ),
    ("adam", {}, "Adam", lambda p: torch.optim.Adam(p, foreach=True)),
    ("adam", {}, "Adam, fused", lambda p: torch.optim.Adam(p, fused=True)),
    ("adam", {"amsgrad": True}, "Adam amsgrad", lambda p: torch.optim.Adam(p, amsgrad=True, foreach=True)),
    ("adamw", {}, "AdamW", lambda p: torch.optim.AdamW(p, foreach=True)),
    ("nadam", {}, "NAdam", lambda p: torch.optim.NAdam(p, foreach=True)),
    ("rmsprop", {}, "RMSprop", lambda p: torch.optim.RMSprop(p, foreach=True)),
    (
        "rmsprop",
        {"momentum": 0.9, "centered": True},
        "RMSprop momentum, centered",
        lambda p: torch.optim.RMSprop(p, momentum=0.9, centered=True, foreach=True),
    ),
    ("adagrad", {}, "Adagrad", lambda p: torch.optim.Adagrad(p, foreach=True)),
    ("adadelta", {}, "Adadelta", lambda p: torch.optim.Adadelta(p, foreach=True)),
    ("adamax", {}, "Adamax", lambda p: torch.optim.Adamax(p, foreach=True)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="turns of each side")
    parser.add_argument("--steps", type=int, default=5, help="steps in a turn")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    # As every fit does.
    keep_freed_memory()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, ms per step, medians")
    print("| optimizer | profile | ours | torch | ours / torch |\n|---|---|---|---|---|")
    for name, options, title, torch_class in TORCH:
        for profile in PROFILES.values():
            if name == "adamw" and profile.optimizers_are_legacy:
                continue
            ours = stepper(partial(build_ours, name, profile, options))
            ours_ms, theirs_ms, ratio = compare(ours, stepper(torch_class), arguments)
            print(f"| {title} | {profile.name} | {ours_ms:.2f} | {theirs_ms:.2f} | {ratio:.2f} |", flush=True)


def build_ours(
    name: str, profile: Profile, options: dict[str, Any], parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    return build_optimizer(name, profile, parameters, 1e-3, **options)


def stepper(make: MakeOptimizer) -> Callable[[], object]:
    """The step of an optimizer on v3's parameters, channels_last as in a fit, with small random gradients."""
    parameters = list(V3(30, (64, 64), TF24).to(memory_format=torch.channels_last).parameters())
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter).mul_(0.01)
    return make(parameters).step


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], arguments: argparse.Namespace
) -> tuple[float, float, float]:
    """Milliseconds per step of both, and the median of the rounds' ratios."""
    rounds = []
    for number in range(arguments.rounds + 3):
        # Who goes first changes: a cache the other one warmed helps both alike.
        sides = [ours, theirs] if number % 2 else [theirs, ours]
        times = {side: timed(side, arguments.steps) for side in sides}
        rounds.append((times[ours], times[theirs]))
    rounds = rounds[3:]
    return (
        median(one for one, _ in rounds),
        median(other for _, other in rounds),
        median(one / other for one, other in rounds),
    )


def timed(step: Callable[[], object], steps: int) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps * 1000


if __name__ == "__main__":
    main()
