"""Memory that the data of a fit takes: `python benchmarks/memory.py`.

The whole log's size by default: 30 classes of 1,000 images at 64 x 64, expanded to 6,000 a class. Draws and
decodes the stand-in set once, then goes through part of an epoch with `data.cache memory`, and prints what
the process took beyond its imports.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path


def resident_mib(field: str = "VmRSS") -> float:
    """The process's memory in MiB, from the kernel."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this needs Linux's /proc")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/memory.py", description=__doc__)
    parser.add_argument("--per-class", type=int, default=1000, help="images a class (1000)")
    parser.add_argument("--expand", type=int, default=6)
    parser.add_argument("--size", type=int, default=64, help="pixels a side (64)")
    parser.add_argument("--batches", type=int, default=400, help="of 32, to go through (400)")
    arguments = parser.parse_args()
    from lightning_impl.data.datamodule import ImageData
    from parity_common.augment_settings import AugmentSettings

    augment = AugmentSettings(rotation_range=15.0, zoom_range=0.2, horizontal_flip=True)
    data = ImageData(
        stand_in_per_class=arguments.per_class,
        image_size=(arguments.size, arguments.size),
        augment=augment,
        expand=arguments.expand,
        cache="memory",
    )
    data.prepare_data()
    before = resident_mib()
    started = time.perf_counter()
    data.setup("fit")
    opened = time.perf_counter() - started
    for batch in itertools.islice(data.train_dataloader(), arguments.batches):
        data.finish(batch)
    print(
        f"{len(data.training) + len(data.validation):,} images of {arguments.size} x {arguments.size}, "
        f"{data.images_per_epoch:,} an epoch: {resident_mib() - before:.0f} MiB more than before, peak "
        f"{resident_mib('VmHWM'):.0f} MiB of the whole process; opened in {opened:.1f} s without decoding"
    )


if __name__ == "__main__":
    main()
