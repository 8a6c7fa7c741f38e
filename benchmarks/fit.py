"""Training speed of both sides from the same config on the same images: `python benchmarks/fit.py`.

Runs `python -m keras_reference.fit`, `python -m lightning_impl.fit` and a bare torch loop over the same
batches in turn, several rounds, without augmentation, and prints images/s of the training part of an epoch
(the first epoch of each process, which compiles and warms up, left out) and the ratios. What counts are the
ratios: all three ran on the same machine within the same minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

SIDES = ("keras", "lightning", "bare")
# Augmentation has a benchmark of its own: augment.py.
NOT_AUGMENTED = [
    "--data.expand=null",
    "--data.augment.rotation_range=0",
    "--data.augment.width_shift_range=0",
    "--data.augment.height_shift_range=0",
    "--data.augment.zoom_range=0",
    "--data.augment.horizontal_flip=false",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/fit.py", description=__doc__)
    parser.add_argument("--config", default="v3")
    parser.add_argument("--profile", default="tf2.4", choices=["tf2.4", "keras3"])
    parser.add_argument("--stand-in-per-class", type=int, default=50, metavar="N", help="a class (50)")
    parser.add_argument("--epochs", type=int, default=3, help="of each process, the first not counted (3)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="all three")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare is not None:
        bare_loop(arguments)
        return
    sides = arguments.sides
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        for round_number in range(arguments.rounds):
            # Whoever starts first changes from round to round.
            first = round_number % len(sides)
            for side in sides[first:] + sides[:first]:
                speed = measure(side, arguments, Path(folder) / f"{side}{round_number}")
                print(f"round {round_number + 1}  {side:9}  {speed:7.0f} images/s", flush=True)
                speeds[side].append(speed)
    middle = {side: median(values) for side, values in speeds.items()}
    print(
        f"{arguments.config} {arguments.profile}: "
        + ", ".join(f"{side} {speed:.0f}" for side, speed in middle.items())
        + " images/s"
        + "".join(
            f", lightning/{side} {middle['lightning'] / middle[side]:.2f}"
            for side in ("keras", "bare")
            if "lightning" in middle and side in middle
        )
    )


def measure(side: str, arguments: argparse.Namespace, out: Path) -> float:
    """Median images/s over the epochs but the first, of one fresh process."""
    if side == "bare":
        given = {
            name.replace("_", "-"): value
            for name, value in vars(arguments).items()
            if name not in ("bare", "sides")
        }
        options = [f"--{name}={value}" for name, value in given.items()]
        subprocess.run([sys.executable, __file__, *options, "--bare", str(out)], check=True)
        return json.loads(out.read_text())
    module = {"keras": "keras_reference.fit", "lightning": "lightning_impl.fit"}[side]
    command = [sys.executable, "-m", module, *fit_options(arguments), "--runs", str(out)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    (result,) = out.glob("*/*/result.json")
    return json.loads(result.read_text())["images_per_second"]


def fit_options(arguments: argparse.Namespace) -> list[str]:
    return [
        f"--config={arguments.config}",
        f"--model.profile={arguments.profile}",
        f"--data.stand_in_per_class={arguments.stand_in_per_class}",
        f"--trainer.max_epochs={arguments.epochs}",
        *NOT_AUGMENTED,
    ]


def bare_loop(arguments: argparse.Namespace) -> None:
    """The same net, optimizer, batches and memory setting as the fit, without Lightning."""
    from lightning_impl.cpu_memory import keep_freed_memory

    keep_freed_memory()
    from lightning_impl.cli import FitCLI

    with tempfile.TemporaryDirectory() as folder:
        options = [*fit_options(arguments), f"--runs={folder}"]
        cli = FitCLI(options, arguments.config)
        model, data = cli.model.train(), cli.datamodule
        data.setup("fit")
        loader = data.train_dataloader()
        optimizer = model.configure_optimizers()
        import torch

        speeds = []
        for epoch in range(arguments.epochs):
            loader.sampler.set_epoch(epoch)
            started = time.perf_counter()
            for batch in loader:
                images, labels = data.finish(batch)
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
            speeds.append(data.images_per_epoch / (time.perf_counter() - started))
    arguments.bare.write_text(json.dumps(median(speeds[1:])))


if __name__ == "__main__":
    main()
