"""Seconds and memory that converting a Keras file takes, without the comparison with Keras.

    python benchmarks/convert.py model.h5

Memory is the largest that the process held over what it held before it opened the file, as a ratio to the
file's size.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from porting.convert.command import profile_of
from porting.convert.compiled import compiled_of
from porting.convert.conversion import convert_file
from porting.convert.folder import new_folder, write_conversion
from porting.keras_file import read_keras_file

MIB = 2**20


def peak_bytes() -> int:
    """The most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="time the conversion of a Keras file")
    parser.add_argument("file", type=Path)
    path = parser.parse_args().file
    before, started = peak_bytes(), time.perf_counter()
    file = read_keras_file(path)
    profile = profile_of(file)
    conversion = convert_file(file, profile, path.stem)
    with (
        tempfile.TemporaryDirectory() as scratch,
        new_folder(Path(scratch) / "ported", overwrite=False) as folder,
    ):
        write_conversion(folder, conversion, compiled_of(conversion, profile), profile, plain=False)
    seconds, size = time.perf_counter() - started, path.stat().st_size
    more = peak_bytes() - before
    memory = f"{more / MIB:.0f} MiB more memory, {more / size:.2f} of the file"
    print(f"{size / MIB:.0f} MiB: {seconds:.1f} s, {memory}")


if __name__ == "__main__":
    main()
