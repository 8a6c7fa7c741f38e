"""Arrays that lie in a file and are read when asked for."""

from __future__ import annotations

import math
import os
import weakref
from dataclasses import dataclass, field

import numpy as np

from porting.keras_file.problems import KerasFileError

# numpy has no bfloat16: Keras stores its two bytes, the upper half of a float32.
BFLOAT16 = "bfloat16"
DTYPES = frozenset(
    f"{order}{kind}"
    for order in "<>|"
    for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
) | {BFLOAT16}


class Bytes:
    """The bytes of an open file. It closes when nothing refers to it any more.

    Args:
        descriptor: Of the open file; this object owns it from now on.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        weakref.finalize(self, os.close, descriptor)

    def read(self, offset: int, count: int) -> bytearray:
        """`count` bytes from `offset`.

        Raises:
            KerasFileError: The file is shorter.
        """
        buffer = bytearray(count)
        view, done = memoryview(buffer), 0
        while done < count:
            got = os.preadv(self.descriptor, [view[done : done + 2**30]], offset + done)
            if got == 0:
                raise KerasFileError("the file has become shorter while it was read")
            done += got
        return buffer


@dataclass(frozen=True)
class StoredArray:
    """An array of a file, not read yet.

    Attributes:
        name: As the file has it, such as "conv2d_1/conv2d_1/kernel:0".
        shape: In Keras's order.
        dtype: One of DTYPES: numpy's code with the byte order, or "bfloat16".
        offset: Where its bytes begin.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    offset: int
    bytes: Bytes = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.offset + self.byte_count > self.bytes.size:
            raise KerasFileError(f"{self.name} {self.shape} reaches beyond the end: the file is cut off")

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def byte_count(self) -> int:
        """How many bytes it takes in the file."""
        return self.size * (2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize)

    def read(self) -> np.ndarray:
        """The numbers, in the machine's byte order; bfloat16 as float32, which holds each exactly."""
        buffer = self.bytes.read(self.offset, self.byte_count)
        if self.dtype == BFLOAT16:
            upper = np.frombuffer(buffer, "<u2").astype(np.uint32) << np.uint32(16)
            return upper.view(np.float32).reshape(self.shape)
        stored = np.frombuffer(buffer, self.dtype).reshape(self.shape)
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)
