"""A drawing process: `python -m lightning_impl.data.stand_in.worker`, started by draw_set.

It reads one line of JSON on standard input, draws, and writes a line with the number of images drawn now and
then. It is its own program, and no multiprocessing child, because that would import the main program anew:
for a training run, torch and Lightning in each worker.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import cv2

from lightning_impl.data.stand_in.draw import encode_image
from lightning_impl.data.stand_in.folder import EXIT_CANNOT_WRITE, image_name, write_whole

IMAGES_PER_REPORT = 8


def _end_with_parent() -> None:
    # Standard input closes when the parent ends, however it ends. What is half written lies under a
    # temporary name.
    sys.stdin.buffer.read()
    os._exit(1)


def main() -> int:
    """Draws what it is told to."""
    # One thread a process: the processes are the parallelism.
    cv2.setNumThreads(1)
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    out, seed, images = Path(task["out"]), task["seed"], task["images"]
    try:
        for start in range(0, len(images), IMAGES_PER_REPORT):
            part = images[start : start + IMAGES_PER_REPORT]
            for index, number in part:
                write_whole(out / image_name(index, number), encode_image(index, number, seed))
            print(len(part), flush=True)
    except OSError as error:
        print(error.strerror, file=sys.stderr, flush=True)
        return EXIT_CANNOT_WRITE
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The thread above holds standard input's lock; an ordinary exit would wait for it.
    os._exit(code)
