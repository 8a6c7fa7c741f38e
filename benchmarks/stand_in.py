"""Images a second the stand-in set is drawn with: `python benchmarks/stand_in.py [--images-per-class 20]`."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from lightning_impl.data.stand_in import CLASS_NAMES, draw_set


def main() -> None:
    """Draws into a folder that is removed again, with one worker and with two, their start included."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images-per-class", type=int, default=20)
    images_per_class = parser.parse_args().images_per_class
    total = images_per_class * len(CLASS_NAMES)
    print(f"{total} images of 580 x 420, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            draw_set(Path(folder) / "set", images_per_class, 2021, workers)
            seconds = time.perf_counter() - start
        print(f"workers {workers}: {total / seconds:.0f} images/s")


if __name__ == "__main__":
    main()
