"""Training speed on a machine that others use too: `python benchmarks/busy.py`.

Runs `python -m lightning_impl.fit` and `python -m keras_reference.fit`, v3 as its config has it (augmented),
in turn: on idle processors, beside one and two busy processes, on one processor alone (`taskset`), and with a
quota of one processor in a control group, as containers have it (this needs root and Linux). Prints images/s
of the training part of the epochs but the first, and the ratio. `--without-sharing` adds the fit as it would
be without lightning_impl/cpu_sharing.py, `--audit` the seconds of an audit.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parents[1]
GOLDEN = REPOSITORY / "parity_tests/goldens/v3-tf2.4-float64"
MODULES = {"lightning": "lightning_impl.fit", "plain": "lightning_impl.fit", "keras": "keras_reference.fit"}
# libgomp's own default, said aloud: cpu_sharing leaves alone what is set.
PLAIN = {"GOMP_SPINCOUNT": "300000"}
QUOTA_GROUPS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
CONDITIONS = ("idle", "1 busy", "2 busy", "1 processor", "quota of 1")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/busy.py", description=__doc__)
    parser.add_argument("--config", default="v3")
    parser.add_argument("--profile", default="tf2.4", choices=["tf2.4", "keras3"])
    parser.add_argument("--stand-in-per-class", type=int, default=20, metavar="N", help="a class (20)")
    parser.add_argument("--epochs", type=int, default=3, help="of each process, the first not counted (3)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--without-sharing", action="store_true")
    parser.add_argument("--audit", action="store_true")
    arguments = parser.parse_args()
    sides = ["lightning", "keras"] + ["plain"] * arguments.without_sharing
    for condition in arguments.conditions:
        speeds: dict[str, list[float]] = {side: [] for side in sides}
        for round_number in range(arguments.rounds):
            for side in sides if round_number % 2 == 0 else sides[::-1]:
                speeds[side].append(fit(side, condition, arguments))
        middle = {side: median(values) for side, values in speeds.items()}
        shown = ", ".join(f"{side} {speed:.0f}" for side, speed in middle.items())
        ratio = middle["lightning"] / middle["keras"]
        print(f"{condition:12} {shown} images/s, lightning/keras {ratio:.2f}", flush=True)
        if arguments.audit:
            print(
                f"{'':12} audit {audit(condition, {}):.1f} s, plain {audit(condition, PLAIN):.1f} s",
                flush=True,
            )


def fit(side: str, condition: str, arguments: argparse.Namespace) -> float:
    """Median images/s over the epochs but the first, of one fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", MODULES[side], "--config", arguments.config, "--runs", folder),
            f"--model.profile={arguments.profile}",
            f"--data.stand_in_per_class={arguments.stand_in_per_class}",
            f"--trainer.max_epochs={arguments.epochs}",
        ]
        run(command, condition, PLAIN if side == "plain" else {})
        (metrics,) = Path(folder).rglob("metrics.csv")
        with metrics.open(newline="") as file:
            return median(float(row["images_per_second"]) for row in list(csv.DictReader(file))[1:])


def audit(condition: str, environment: dict[str, str]) -> float:
    """Seconds of an audit of v3 against the committed trace."""
    command = [sys.executable, "-m", "porting", "audit", str(GOLDEN), "--port", "lightning_impl.models.v3:V3"]
    start = time.monotonic()
    run(command, condition, environment)
    return time.monotonic() - start


def run(command: list[str], condition: str, environment: dict[str, str]) -> None:
    """Runs a command to its end under a condition."""
    count = int(condition.split()[0]) if condition.endswith("busy") else 0
    if condition == "1 processor":
        command = ["taskset", "-c", "0", *command]
    with busy_processes(count), quota(condition == "quota of 1") as prefix:
        done = subprocess.run(
            [*prefix, *command],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@contextmanager
def quota(wanted: bool) -> Iterator[list[str]]:
    """A command's prefix that puts it into a control group with one processor's time."""
    if not wanted:
        yield []
        return
    root = next(folder for folder in QUOTA_GROUPS if folder.exists())
    group = root / "keras-lightning-parity-benchmark"
    group.mkdir(exist_ok=True)
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text("100000 100000")
    else:
        (group / "cpu.cfs_quota_us").write_text("100000")
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()


if __name__ == "__main__":
    main()
